"""Two real WebRTC peers that never hold a WebSocket, one listening by SSE, the other by long-poll."""

import asyncio
from dataclasses import dataclass

import pytest

from lib.client import Client
from lib.inbox import Inbox
from lib.peer import Peer, split_candidates
from lib.server import until
from lib.wires import Follower

FRAMES_MIN = 20
RED, BLUE = (200, 30, 30), (30, 30, 200)


def close_to(seen: tuple[int, ...], sent: tuple[int, ...]) -> bool:
    """VP8 and its colour space lose a little; the two colours are 170 apart."""
    return all(abs(a - b) < 40 for a, b in zip(seen, sent))


def signal_of(kind: str):
    return lambda event: event["type"] == "signal" and event["data"]["type"] == kind


async def listen(client: Client, wire: str) -> Inbox:
    follower = Follower(client.server.port, client.token, None, cursor=await client.tail(), device=client.device)
    return Inbox(follower, wire)


@dataclass
class Side:
    """One participant: who asks, what it hears, and its WebRTC peer."""

    client: Client
    inbox: Inbox
    peer: Peer

    async def signal(self, call: str, to: "Side", **payload) -> dict:
        return await self.client.post(f"/v1/calls/{call}/signals", {"to": to.client.id, **payload}, expect=202)

    async def take_candidates(self, count: int) -> None:
        while count > 0:
            event = await self.inbox.wait_for(signal_of("candidates"), "candidates")
            await self.peer.add_candidates(event["data"]["candidates"])
            count -= len(event["data"]["candidates"])


async def invite(caller: Side, callee: Side, room: str) -> str:
    """Phase 1: the caller's invitation stands in the chat. Returns the call's id as the callee reads it there."""
    created = await caller.client.post(
        f"/v1/rooms/{room}/calls", {"media": {"audio": False, "video": True}}, expect=201)
    invitation = await callee.inbox.wait_for(
        lambda event: event["type"] == "message.created" and event["actor"] == caller.client.id, "the invitation")
    assert invitation["data"]["content"] == "📞 [KLIK DI SINI] "
    assert invitation["data"]["metadata"] == {"action": "join_call", "call": created["call"]["id"]}
    return invitation["data"]["metadata"]["call"]


async def negotiate(caller: Side, callee: Side, call: str) -> None:
    """Phases 2 to 5: the callee joins and offers, the caller accepts, candidates pass in both directions."""
    joined = await callee.client.post(f"/v1/calls/{call}/join", {})
    assert [peer["user"] for peer in joined["peers"]] == [caller.client.id]
    assert [peer["polite"] for peer in joined["peers"]] == [callee.client.id < caller.client.id]
    offer, candidates = split_candidates(await callee.peer.offer())
    # A candidate before its offer: to hold it is the server's job, not a script's.
    await callee.signal(call, caller, type="candidates", candidates=candidates[:1])
    sent = await callee.signal(call, caller, type="offer", sdp=offer)
    await callee.signal(call, caller, type="candidates", candidates=candidates[1:], end=True)

    offered = await caller.inbox.wait_for(lambda event: event["type"] == "signal", "the offer")
    assert offered["data"]["type"] == "offer", "a candidate came before its description"
    assert offered["data"]["from"] == callee.client.id and offered["data"]["id"] == sent["id"]
    assert offered["data"]["sdp"] == offer
    answer, answer_candidates = split_candidates(await caller.peer.answer(offer))
    await caller.signal(call, callee, type="answer", offer=sent["id"], sdp=answer)
    await caller.signal(call, callee, type="candidates", candidates=answer_candidates, end=True)
    answered = await callee.inbox.wait_for(signal_of("answer"), "the answer")
    assert answered["data"]["offer"] == sent["id"]
    await callee.peer.accept(answered["data"]["sdp"])
    await caller.take_candidates(len(candidates))
    await callee.take_candidates(len(answer_candidates))


async def see_one_another(caller: Side, callee: Side, call: str) -> None:
    """Phase 6: media flows, peer to peer; then the caller turns the camera off, and the other side hears of it."""
    for side in (caller, callee):
        await until(lambda: side.peer.connection.connectionState == "connected", "connected")
        await side.client.patch(f"/v1/calls/{call}/participants/me", {"connection": "connected"})
    await until(
        lambda: min(len(caller.peer.seen), len(callee.peer.seen)) >= FRAMES_MIN,
        f"{FRAMES_MIN} video frames on both sides", 30)
    await caller.client.patch(
        f"/v1/calls/{call}/participants/me", {"media": {"audio": False, "video": False, "screen": False}})
    muted = await callee.inbox.wait_for(
        lambda event: event["type"] == "call.participant" and event["data"]["user"] == caller.client.id
        and not event["data"]["media"]["video"], "the camera turned off")
    assert muted["data"]["connection"] == "connected"


def assert_saw(peer: Peer, color: tuple[int, int, int]) -> None:
    """Every frame is the other's, and the picture moves."""
    colors = peer.colors_seen()
    wrong = [seen for seen in colors if not close_to(seen, color)]
    assert not wrong, f"{len(wrong)} of {len(colors)} frames are not the sender's, first {wrong[:3]}"
    assert len(set(peer.bars_seen())) >= FRAMES_MIN // 3, "the picture does not move"


async def hold_call(ani: Client, budi: Client, room: str, wires: tuple[str, str]) -> dict:
    """A whole call; returns its record."""
    red, blue = Peer(RED), Peer(BLUE)
    try:
        async with await listen(ani, wires[0]) as ani_inbox, await listen(budi, wires[1]) as budi_inbox:
            caller, callee = Side(ani, ani_inbox, red), Side(budi, budi_inbox, blue)
            call = await invite(caller, callee, room)
            await negotiate(caller, callee, call)
            await see_one_another(caller, callee, call)
            await budi.post(f"/v1/calls/{call}/end", {})
            for side in (caller, callee):
                ended = await side.inbox.wait_for(lambda event: event["type"] == "call.ended", "the end")
                assert ended["data"]["id"] == call
        assert_saw(red, BLUE)
        assert_saw(blue, RED)
        return await ani.get(f"/v1/calls/{call}")
    finally:
        await asyncio.gather(red.close(), blue.close())


@pytest.mark.parametrize("wires", [("sse", "poll"), ("ndjson", "poll")], ids="-".join)
async def test_media_flows_between_peers_that_never_held_a_websocket(server, wires):
    async with await Client.sign_up(server, "ani", "kata sandi") as ani, await Client.sign_up(server, "budi") as budi:
        room = (await ani.create_room())["id"]
        await budi.join_room(room)

        record = await hold_call(ani, budi, room, wires)

        assert record["state"] == "ended" and record["endReason"] == "completed" and record["endedBy"] == budi.id
        assert record["initiator"] == ani.id and record["room"] == room
        assert record["createdAt"] <= record["answeredAt"] <= record["connectedAt"] <= record["endedAt"]
        # At 30 frames a second the frames alone took that long; rounding to seconds may take half of it away.
        assert 0 <= record["durationSeconds"] <= 30
        participants = {participant["user"]: participant for participant in record["participants"]}
        assert set(participants) == {ani.id, budi.id}
        for participant in participants.values():
            assert participant["state"] == "left" and participant["connection"] == "connected"
            assert participant["joinedAt"] <= participant["leftAt"] and participant["leg"]
        assert not participants[ani.id]["media"]["video"]
        assert participants[ani.id]["transport"] == wires[0]
        # Signals do not outlive their call, not even for their addressee.
        assert [event for event in await ani.log(f"/v1/calls/{record['id']}/events") if event["type"] == "signal"] == []
        messages = await budi.history(room)
        assert [message["metadata"]["action"] for message in messages] == ["join_call"]


async def test_a_rejected_offer_leaves_the_invitation_open_and_its_caller_may_cancel(server):
    async with await Client.sign_up(server, "ani") as ani, await Client.sign_up(server, "budi") as budi:
        room = (await ani.create_room())["id"]
        await budi.join_room(room)
        call = await ani.post(f"/v1/rooms/{room}/calls", {"media": {"audio": True, "video": True}}, expect=201)
        call_id = call["call"]["id"]
        async with await listen(budi, "poll") as inbox:
            await budi.post(f"/v1/calls/{call_id}/join", {})
            await budi.post(
                f"/v1/calls/{call_id}/signals",
                {"to": ani.id, "type": "offer", "sdp": "v=0\r\na=ice-ufrag:abcd\r\n"}, expect=202)
            await ani.post(f"/v1/calls/{call_id}/signals", {"to": budi.id, "type": "reject"}, expect=202)

            await inbox.wait_for(signal_of("reject"), "the rejection")
            record = await ani.get(f"/v1/calls/{call_id}")
            assert record["state"] == "ringing"
            assert {p["user"]: p["state"] for p in record["participants"]} == {ani.id: "joined", budi.id: "rejected"}

            await ani.post(f"/v1/calls/{call_id}/leave", {})
            ended = await inbox.wait_for(lambda event: event["type"] == "call.ended", "the end")
            assert ended["data"]["endReason"] == "cancelled" and ended["data"]["answeredAt"] is None
