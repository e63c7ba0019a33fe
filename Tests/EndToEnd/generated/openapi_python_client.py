"""One side of a call by the client that openapi-python-client makes: `start` or `join`.

Everything that goes over the wire is a generated function's or model's. What is said and read is told in README.md.
"""

import json
import os
import sys

import httpx
from comblang_client import AuthenticatedClient, Client
from comblang_client.api.calls import (
    create_call, get_call, get_ice_servers, join_call, leave_call, list_calls, list_own_calls, mark_calls_seen,
    report_quality, send_signal, update_participant)
from comblang_client.api.events import poll_call_events, poll_room_events
from comblang_client.api.identity import create_user, update_user
from comblang_client.api.messages import list_messages, post_message
from comblang_client.api.rooms import put_member
from comblang_client.models import (
    AnswerRequest, AnswerRequestType, CallEvent, CallEventType, CallMedia, CallsSeenRequest, CallState,
    CandidatesRequest, CandidatesRequestType, CandidateType, ConnectionState, CustomRequest, CustomRequestType,
    JoinRequest, LeaveRequest, Metadata, NewCall, NewMessage, NewUser, OfferRequest, OfferRequestType, OtherEvent,
    ParticipantChange, ParticipantMediaChange, Problem, QualityReport, RTCIceCandidateInit, SignalEvent, SignalType,
    UserChange)
from comblang_client.types import UNSET

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:opyc\r\n"
PAYLOAD = {"halo": [1, 2.5, True, None, "📞"]}

side, room = sys.argv[1], os.environ.get("ROOM", "lobby")
# Which generated class each type of event became.
seen: dict[str, str] = {}


def say(*words: object) -> None:
    print(*words, flush=True)


def done(answer):
    """What a call answered; a problem ends the program."""
    assert not isinstance(answer, Problem), f"{answer.title}: {answer.detail}"
    return answer


class Log:
    """A call's events, or a room's, by long-poll from a cursor on."""

    def __init__(self, poll, where: str, cursor: str, types=UNSET):
        self.poll, self.where, self.cursor, self.types = poll, where, cursor, types
        self.waiting: list = []

    def next(self, wanted):
        """The next event that `wanted` takes; the others are skipped."""
        while True:
            while self.waiting:
                event = self.waiting.pop(0)
                if wanted(event):
                    return event
            page = done(self.poll.sync(self.where, client=client, after=self.cursor, wait=20, types=self.types))
            self.cursor, self.waiting = page.cursor, page.events
            seen.update({str(event.type_): type(event).__name__ for event in self.waiting})


def is_signal(kind: SignalType):
    return lambda event: isinstance(event, SignalEvent) and event.data.type_ == kind


def send(request) -> str:
    return done(send_signal.sync(call, client=client, body=request, idempotency_key=os.urandom(8).hex())).id


stranger = Client(base_url=os.environ["URL"], raise_on_unexpected_status=True)
signed_in = done(create_user.sync(client=stranger, body=NewUser(username=f"opc-{os.urandom(4).hex()}")))
# Longer than a poll waits.
client = AuthenticatedClient(
    base_url=os.environ["URL"], token=signed_in.access_token, timeout=httpx.Timeout(40),
    raise_on_unexpected_status=True)
me = done(update_user.sync("me", client=client, body=UserChange(display_name="Python")))
done(put_member.sync(room, "me", client=client))
say("user", me.id)

if side == "start":
    invite = [os.environ["INVITE"]] if "INVITE" in os.environ else UNSET
    created = create_call.sync_detailed(
        room, client=client, body=NewCall(media=CallMedia(audio=True, video=True), invite=invite),
        idempotency_key=os.urandom(8).hex())
    call = done(created.parsed).call.id
    log = Log(poll_call_events, call, created.headers["Event-Cursor"])
    say("calling", call)
    offer = log.next(is_signal(SignalType.OFFER)).data
    peer = offer.from_
    send(AnswerRequest(to=peer, type_=AnswerRequestType.ANSWER, offer=offer.id, sdp=SDP))
else:
    snapshot = list_calls.sync_detailed(room, client=client, state=CallState.RINGING, limit=1)
    call = next((one.id for one in done(snapshot.parsed).items), None)
    say("waiting")
    if call is None:
        rings = Log(poll_room_events, room, snapshot.headers["Event-Cursor"], ["call.created", "call.ringing"])
        # Somebody rings me, or invites everybody.
        call = rings.next(
            lambda event: isinstance(event, CallEvent)
            and (event.type_ == CallEventType.CALL_RINGING or event.data.ringing_at is None)).call
    joined = join_call.sync_detailed(
        call, client=client, body=JoinRequest(media=ParticipantMediaChange(audio=True)))
    peer = done(joined.parsed).peers[0].user
    log = Log(poll_call_events, call, joined.headers["Event-Cursor"])
    offer = send(OfferRequest(to=peer, type_=OfferRequestType.OFFER, sdp=SDP))
    say("joined", call)
    assert log.next(is_signal(SignalType.ANSWER)).data.offer == offer

ice = done(get_ice_servers.sync(client=client, call=call))
assert ice.ice_servers[0].urls[0].startswith("stun:")
send(CustomRequest(to=peer, type_=CustomRequestType.CUSTOM, payload=PAYLOAD))
candidate = RTCIceCandidateInit(
    candidate="candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", sdp_mid="0", sdp_m_line_index=0,
    username_fragment="opyc")
send(CandidatesRequest(to=peer, type_=CandidatesRequestType.CANDIDATES, candidates=[candidate], end=True))
custom: list = []
while True:
    signal = log.next(
        lambda event: isinstance(event, SignalEvent)
        and event.data.type_ in (SignalType.CUSTOM, SignalType.CANDIDATES)).data
    if signal.type_ == SignalType.CANDIDATES:
        break
    custom.append(signal.payload)
assert signal.candidates[0].sdp_m_line_index == 0 and signal.end is True
done(update_participant.sync(call, client=client, body=ParticipantChange(connection=ConnectionState.CONNECTED)))
done(report_quality.sync(call, client=client, body=QualityReport(
    rtt_ms=48.2, packet_loss=0, local_candidate_type=CandidateType.HOST, remote_candidate_type=CandidateType.HOST)))
say("connected")

if "HANGS_UP" in os.environ:
    sys.stdin.readline()
    done(leave_call.sync(call, client=client, body=LeaveRequest(reason="hang-up")))
# Both sides read the log to the call's end.
log.next(lambda event: isinstance(event, CallEvent) and event.type_ == CallEventType.CALL_ENDED)

record = done(get_call.sync(call, client=client))
own = next(one for one in done(list_own_calls.sync(client=client, limit=10)).items if one.id == call)
badge = done(mark_calls_seen.sync(client=client, body=CallsSeenRequest(until=record.ended_at)))
message = done(post_message.sync(
    room, client=client, body=NewMessage(content="Sampai jumpa", metadata=Metadata.from_dict(PAYLOAD))))
history = done(list_messages.sync(room, client=client)).items
problem = join_call.sync(call, client=client)
assert isinstance(problem, Problem)
say("summary", json.dumps({
    "call": record.id, "state": record.state.value, "endReason": record.end_reason.value, "endedBy": record.ended_by,
    "participants": {one.user: one.state.value for one in record.participants}, "missed": own.missed,
    "connectedAfterAnswer": record.answered_at <= record.connected_at <= record.ended_at,
    "unseen": badge.unseen_count, "metadata": message.metadata.to_dict(), "editedAt": message.edited_at,
    "invitation": [one.metadata["action"] for one in history
                   if one.metadata and "call" in one.metadata and one.metadata["call"] == call],
    "problem": [problem.type_, problem.status, problem.call.id if problem.call else None],
    "custom": custom, "seen": seen, "other": OtherEvent.__name__}))
