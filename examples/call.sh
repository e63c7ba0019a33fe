#!/usr/bin/env bash
# A call between two terminals with curl and jq alone.
#
#   terminal 1:  examples/call.sh start          # calls the room `lobby` and waits for somebody
#   terminal 2:  examples/call.sh join           # joins the call that is open there, and makes the offer
#   either:      Enter hangs up
#
# URL (http://127.0.0.1:8080) and ROOM (lobby) come from the environment; TOKEN is an access token or API key to use
# instead of entering as a guest. Bash has no camera: the session descriptions are the shortest that pass, everything
# else is what a real client does. See README.md for the same step by step.
set -euo pipefail

URL=${URL:-http://127.0.0.1:8080}
ROOM=${ROOM:-lobby}
SIDE=${1:-}
case $SIDE in start | join) ;; *)
    echo "usage: $0 start|join" >&2
    exit 2
    ;;
esac

scratch=$(mktemp -d)
# Leaves the call however this ends, if it was in one: the leave token needs no other credentials.
LEAVE=""
# shellcheck disable=SC2317
tidy_up() {
    [ -z "$LEAVE" ] || curl -sS "$URL/v1/calls/$CALL/leave" -d "$(jq -n --arg t "$LEAVE" '{leaveToken: $t}')" >/dev/null || true
    # shellcheck disable=SC2046
    kill ${LISTENER:-} $(jobs -p) 2>/dev/null || true
    rm -rf "$scratch"
}
trap tidy_up EXIT
# Without a trap bash may take a Ctrl-C for that of the command it runs at the moment, and go on.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '%s: %s\n' "$SIDE" "$*"; }

# ask METHOD PATH [BODY]: prints the answer's JSON and keeps its head; a problem is told and ends the script.
# Every request names a key, so that curl may ask again when an answer was lost and it still happens once.
ask() {
    local key
    key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    if ! curl -sS --fail-with-body --retry 5 --retry-connrefused -D "$scratch/head" -o "$scratch/body" -X "$1" "$URL$2" \
        ${AUTH:+-H "$AUTH"} -H "Idempotency-Key: $key" ${3:+-d "$3"}; then
        say "$1 $2: $(jq -r '"\(.title). \(.detail // "")"' "$scratch/body" 2>/dev/null || true)" >&2
        return 1
    fi
    cat "$scratch/body"
}
cursor() { sed -n 's/^[Ee]vent-[Cc]ursor: *\([^[:space:]]*\).*/\1/p' "$scratch/head"; }

# The call's own log as JSON lines on descriptor 3, from a cursor on; when the stream ends it goes on from there.
follow() {
    exec 3< <(
        after=$1
        # The stream ends with who reads it, not when its next heartbeat finds nobody.
        trap 'kill ${!:-} 2>/dev/null; exit' TERM EXIT
        while true; do
            while IFS= read -r line; do
                printf '%s\n' "$line"
                after=$(jq -r '.id // empty' <<<"$line" || true)
                case $line in *'"type":"call.ended"'*) exit 0 ;; esac
            done < <(exec curl -sSN "$URL/v1/calls/$CALL/events/stream?format=ndjson&after=$after" -H "$AUTH")
            sleep 1
        done
    )
    LISTENER=$!
}

# wait_for FILTER: the first event that jq's filter takes, on stdout; fails when the call ends first.
wait_for() {
    local line
    while IFS= read -r line <&3; do
        if [ "$(jq "$1" <<<"$line" 2>/dev/null)" = true ]; then
            printf '%s\n' "$line"
            return
        fi
        case $line in *'"type":"call.ended"'*)
            say "the call is over: $(jq -r .data.endReason <<<"$line")" >&2
            LEAVE=""
            exit 1
            ;;
        esac
    done
    say "the stream is gone" >&2
    return 1
}

# send TO TYPE MEMBERS
send() {
    ask POST "/v1/calls/$CALL/signals" "$(jq -n --arg to "$1" --arg type "$2" --argjson more "$3" '{to: $to, type: $type} + $more')"
}
UFRAG=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
SDP=$(printf 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:%s\r\n' "$UFRAG" | jq -Rs .)
CANDIDATES=$(jq -n --arg ufrag "$UFRAG" '{end: true, candidates: [{
    candidate: "candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", sdpMid: "0", sdpMLineIndex: 0,
    usernameFragment: $ufrag}]}')

if [ -n "${TOKEN:-}" ]; then
    AUTH="Authorization: Bearer $TOKEN"
else
    AUTH=""
    NAME="$SIDE-$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')"
    AUTH="Authorization: Bearer $(ask POST /v1/users "{\"username\":\"$NAME\"}" | jq -r .accessToken)"
fi
ME=$(ask GET /v1/users/me | jq -r .id)
ask PUT "/v1/rooms/$ROOM/members/me" '{}' >/dev/null

if [ "$SIDE" = start ]; then
    ask POST "/v1/rooms/$ROOM/calls" '{"media":{"audio":true,"video":true}}' >"$scratch/call"
    CALL=$(jq -r .call.id "$scratch/call")
    LEAVE=$(jq -r .leaveToken "$scratch/call")
    follow "$(cursor)"
    say "calling $ROOM ($CALL), waiting for somebody"
    offer=$(wait_for '.type == "signal" and .data.type == "offer"')
    PEER=$(jq -r .data.from <<<"$offer")
    send "$PEER" answer "$(jq -n --argjson sdp "$SDP" --argjson offer "$offer" '{sdp: $sdp, offer: $offer.data.id}')" >/dev/null
    say "answered $PEER"
else
    say "looking for a call in $ROOM"
    # A snapshot, then what comes behind it: nothing falls in between.
    CALL=$(ask GET "/v1/rooms/$ROOM/calls?state=ringing&limit=1" | jq -r '.items[0].id // empty')
    after=$(cursor)
    while [ -z "$CALL" ]; do
        ask GET "/v1/rooms/$ROOM/events?after=$after&types=call.created&wait=25" >"$scratch/poll"
        after=$(jq -r .cursor "$scratch/poll")
        CALL=$(jq -r '.events[0].call // empty' "$scratch/poll")
    done
    ask POST "/v1/calls/$CALL/join" '{}' >"$scratch/call"
    LEAVE=$(jq -r .leaveToken "$scratch/call")
    PEER=$(jq -r '.peers[0].user // empty' "$scratch/call")
    [ -n "$PEER" ] || { say "nobody is in $CALL" >&2; exit 1; }
    follow "$(cursor)"
    OFFER=$(send "$PEER" offer "{\"sdp\":$SDP}" | jq -r .id)
    say "joined $CALL and offered to $PEER"
    wait_for ".type == \"signal\" and .data.type == \"answer\" and .data.offer == \"$OFFER\"" >/dev/null
    say "was answered"
fi

# Candidates may come in any order; the server holds what is early.
send "$PEER" candidates "$CANDIDATES" >/dev/null
wait_for ".type == \"signal\" and .data.type == \"candidates\" and .data.from == \"$PEER\"" >/dev/null
ask PATCH "/v1/calls/$CALL/participants/me" '{"connection":"connected"}' >/dev/null
say "connected; Enter hangs up"

# Whichever comes first: Enter here, or the end by the other side. Without a terminal the other side hangs up. (Not by
# `read -t`, which crashes bash 5.2 when a Ctrl-C comes at the wrong moment.)
mkfifo "$scratch/either"
{ IFS= read -r _ && echo enter; } <&0 >"$scratch/either" &
cat <&3 >"$scratch/either" &
while IFS= read -r line <&4; do
    case $line in
    enter)
        ask POST "/v1/calls/$CALL/leave" '{"reason":"hang-up"}' >"$scratch/record"
        break
        ;;
    *'"type":"call.ended"'*)
        jq .data <<<"$line" >"$scratch/record"
        break
        ;;
    esac
done 4<"$scratch/either"
LEAVE=""
say "over after $(jq -r '"\(.durationSeconds // 0) s: \(.endReason)"' "$scratch/record") (I am $ME)"
