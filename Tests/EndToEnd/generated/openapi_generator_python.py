"""One side of a call by the client that openapi-generator makes for Python: `start` or `join`.

Everything that goes over the wire is a generated method's or model's. What is said and read is told in README.md.
"""

import json
import os
import sys

import comblang_client as api
from comblang_client.models import (
    AnswerRequest, CallEvent, CallMedia, CandidatesRequest, CandidateType, ConnectionState, CustomRequest, JoinRequest,
    CallsSeenRequest, LeaveRequest, NewCall, NewMessage, NewUser, OfferRequest, OtherEvent, ParticipantChange,
    ParticipantMediaChange, Problem, QualityReport, RTCIceCandidateInit, SignalEvent, SignalRequest, UserChange)

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:oagp\r\n"
PAYLOAD = {"halo": [1, 2.5, True, None, "📞"]}

side, room = sys.argv[1], os.environ.get("ROOM", "lobby")
configuration = api.Configuration(host=os.environ["URL"])
client = api.ApiClient(configuration)
identity, rooms, calls = api.IdentityApi(client), api.RoomsApi(client), api.CallsApi(client)
events, messages = api.EventsApi(client), api.MessagesApi(client)
# Which generated class each type of event became.
seen: dict[str, str] = {}


def say(*words: object) -> None:
    print(*words, flush=True)


class Log:
    """A call's events, or a room's, by long-poll from a cursor on."""

    def __init__(self, poll, where: str, cursor: str, types: list[str] | None = None):
        self.poll, self.where, self.cursor, self.types = poll, where, cursor, types
        self.waiting: list = []

    def next(self, wanted):
        """The next event that `wanted` takes; the others are skipped."""
        while True:
            while self.waiting:
                event = self.waiting.pop(0)
                if wanted(event):
                    return event
            page = self.poll(self.where, after=self.cursor, wait=20, types=self.types, _request_timeout=40.0)
            self.cursor = page.cursor
            self.waiting = [event.actual_instance for event in page.events]
            seen.update({event.type: type(event).__name__ for event in self.waiting})


def cursor(answer) -> str:
    """Of the snapshot that was loaded, or of the own write; names of headers come as they were written."""
    return next(value for name, value in answer.headers.items() if name.lower() == "event-cursor")


def is_signal(kind: str):
    return lambda event: isinstance(event, SignalEvent) and event.data.type == kind


def send(request) -> str:
    return calls.send_signal(call, SignalRequest(request), idempotency_key=os.urandom(8).hex()).id


signed_in = identity.create_user(NewUser(username=f"py-{os.urandom(4).hex()}"))
configuration.access_token = signed_in.access_token
me = identity.update_user("me", UserChange(displayName="Python"))
rooms.put_member(room, "me")
say("user", me.id)

if side == "start":
    invite = [os.environ["INVITE"]] if "INVITE" in os.environ else None
    created = calls.create_call_with_http_info(
        room, NewCall(media=CallMedia(audio=True, video=True), invite=invite), idempotency_key=os.urandom(8).hex())
    call = created.data.call.id
    log = Log(events.poll_call_events, call, cursor(created))
    say("calling", call)
    offer = log.next(is_signal("offer")).data
    peer = offer.var_from
    send(AnswerRequest(to=peer, type="answer", offer=offer.id, sdp=SDP))
else:
    snapshot = calls.list_calls_with_http_info(room, state="ringing", limit=1)
    call = next((one.id for one in snapshot.data.items), None)
    say("waiting")
    if call is None:
        rings = Log(events.poll_room_events, room, cursor(snapshot), ["call.created", "call.ringing"])
        # Somebody rings me, or invites everybody.
        call = rings.next(
            lambda event: isinstance(event, CallEvent)
            and (event.type == "call.ringing" or event.data.ringing_at is None)).call
    joined = calls.join_call_with_http_info(call, join_request=JoinRequest(media=ParticipantMediaChange(audio=True)))
    peer = joined.data.peers[0].user
    log = Log(events.poll_call_events, call, cursor(joined))
    offer = send(OfferRequest(to=peer, type="offer", sdp=SDP))
    say("joined", call)
    assert log.next(is_signal("answer")).data.offer == offer

ice = calls.get_ice_servers(call=call)
assert ice.ice_servers[0].urls[0].startswith("stun:")
send(CustomRequest(to=peer, type="custom", payload=PAYLOAD))
candidate = RTCIceCandidateInit(
    candidate="candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", sdpMid="0", sdpMLineIndex=0,
    usernameFragment="oagp")
send(CandidatesRequest(to=peer, type="candidates", candidates=[candidate], end=True))
custom: list = []
while True:
    signal = log.next(lambda event: isinstance(event, SignalEvent) and event.data.type in ("custom", "candidates")).data
    if signal.type == "candidates":
        break
    custom.append(signal.payload)
assert signal.candidates[0].sdp_m_line_index == 0 and signal.end is True
calls.update_participant(call, ParticipantChange(connection=ConnectionState.CONNECTED))
calls.report_quality(call, QualityReport(
    rttMs=48.2, packetLoss=0, localCandidateType=CandidateType.HOST, remoteCandidateType=CandidateType.HOST))
say("connected")

if "HANGS_UP" in os.environ:
    sys.stdin.readline()
    calls.leave_call(call, leave_request=LeaveRequest(reason="hang-up"))
# Both sides read the log to the call's end.
log.next(lambda event: isinstance(event, CallEvent) and event.type == "call.ended")

record = calls.get_call(call)
own = next(one for one in calls.list_own_calls(limit=10).items if one.id == call)
badge = calls.mark_calls_seen(CallsSeenRequest(until=record.ended_at))
message = messages.post_message(room, NewMessage(content="Sampai jumpa", metadata=PAYLOAD))
history = messages.list_messages(room).items
try:
    calls.join_call(call)
    problem = None
except api.ApiException as refusal:
    problem = refusal.data
    assert isinstance(problem, Problem) and refusal.status == problem.status
say("summary", json.dumps({
    "call": record.id, "state": record.state.value, "endReason": record.end_reason.value, "endedBy": record.ended_by,
    "participants": {one.user: one.state for one in record.participants}, "missed": own.missed,
    "connectedAfterAnswer": record.answered_at <= record.connected_at <= record.ended_at,
    "unseen": badge.unseen_count, "metadata": message.metadata, "editedAt": message.edited_at,
    "invitation": [one.metadata["action"] for one in history if one.metadata and one.metadata.get("call") == call],
    "problem": [problem.type, problem.status, problem.call.id if problem.call else None],
    "custom": custom, "seen": seen, "other": OtherEvent.__name__}))
