"""Two real WebRTC peers that never hold a WebSocket, one listening by SSE, the other by long-poll."""

import asyncio

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


async def place_call(caller: Client, callee: Client, room: str, wires: tuple[str, str]) -> dict:
    """The seed's six phases, media and the end; returns the call's record."""
    camera, other_camera = Peer(RED), Peer(BLUE)
    try:
        async with await listen(caller, wires[0]) as caller_inbox, await listen(callee, wires[1]) as callee_inbox:
            # 1. The caller's invitation stands in the chat.
            call = await caller.post(f"/v1/rooms/{room}/calls", {"media": {"audio": False, "video": True}}, expect=201)
            call_id = call["call"]["id"]
            invitation = await callee_inbox.wait_for(
                lambda event: event["type"] == "message.created" and event["actor"] == caller.id, "the invitation")
            assert invitation["data"]["content"] == "📞 [KLIK DI SINI] "
            assert invitation["data"]["metadata"] == {"action": "join_call", "call": call_id}

            # 2. The callee clicks it: joins, and offers to the peer that is there.
            joined = await callee.post(f"/v1/calls/{invitation['data']['metadata']['call']}/join", {})
            assert [peer["user"] for peer in joined["peers"]] == [caller.id]
            assert [peer["polite"] for peer in joined["peers"]] == [callee.id < caller.id]
            offer, candidates = split_candidates(await other_camera.offer())
            signals = f"/v1/calls/{call_id}/signals"
            # Candidates before their offer: to hold them is the server's job.
            early, late = candidates[:1], candidates[1:]
            await callee.post(signals, {"to": caller.id, "type": "candidates", "candidates": early}, expect=202)
            sent = await callee.post(signals, {"to": caller.id, "type": "offer", "sdp": offer}, expect=202)
            await callee.post(
                signals, {"to": caller.id, "type": "candidates", "candidates": late, "end": True}, expect=202)

            # 3., 4. The caller sees who calls, and accepts.
            offered = await caller_inbox.wait_for(signal_of("offer"), "the offer")
            assert offered["data"]["from"] == callee.id and offered["data"]["id"] == sent["id"]
            assert offered["data"]["sdp"] == offer
            answer, answer_candidates = split_candidates(await camera.answer(offered["data"]["sdp"]))
            await caller.post(
                signals, {"to": callee.id, "type": "answer", "offer": sent["id"], "sdp": answer}, expect=202)
            await caller.post(
                signals, {"to": callee.id, "type": "candidates", "candidates": answer_candidates, "end": True},
                expect=202)
            answered = await callee_inbox.wait_for(signal_of("answer"), "the answer")
            assert answered["data"]["offer"] == sent["id"]
            await other_camera.accept(answered["data"]["sdp"])

            # 5. Candidates, each behind the description it belongs to.
            for inbox, peer, count in ((caller_inbox, camera, len(candidates)),
                                       (callee_inbox, other_camera, len(answer_candidates))):
                got = 0
                while got < count:
                    event = await inbox.wait_for(signal_of("candidates"), "candidates")
                    await peer.add_candidates(event["data"]["candidates"])
                    got += len(event["data"]["candidates"])

            # 6. Media flows, peer to peer.
            for client, peer in ((caller, camera), (callee, other_camera)):
                await until(lambda: peer.connection.connectionState == "connected", "connected")
                await client.patch(f"/v1/calls/{call_id}/participants/me", {"connection": "connected"})
            await until(
                lambda: len(camera.seen) >= FRAMES_MIN and len(other_camera.seen) >= FRAMES_MIN,
                f"{FRAMES_MIN} video frames on both sides", 30)

            # Mute: the other side hears of it.
            await caller.patch(
                f"/v1/calls/{call_id}/participants/me", {"media": {"audio": False, "video": False, "screen": False}})
            muted = await callee_inbox.wait_for(
                lambda event: event["type"] == "call.participant" and event["data"]["user"] == caller.id
                and not event["data"]["media"]["video"], "the muted camera")
            assert muted["data"]["connection"] == "connected"

            await callee.post(f"/v1/calls/{call_id}/end", {})
            for inbox in (caller_inbox, callee_inbox):
                ended = await inbox.wait_for(lambda event: event["type"] == "call.ended", "the end")
                assert ended["data"]["id"] == call_id

        for peer, color in ((camera, BLUE), (other_camera, RED)):
            colors = peer.colors_seen()
            wrong = [seen for seen in colors if not close_to(seen, color)]
            assert not wrong, f"{len(wrong)} of {len(colors)} frames are not the sender's, first {wrong[:3]}"
            assert len(set(peer.bars_seen())) >= FRAMES_MIN // 3, "the picture does not move"
        return await caller.get(f"/v1/calls/{call_id}")
    finally:
        await asyncio.gather(camera.close(), other_camera.close())


@pytest.mark.parametrize("wires", [("sse", "poll"), ("ndjson", "poll")], ids="-".join)
async def test_media_flows_between_peers_that_never_held_a_websocket(server, wires):
    async with await Client.sign_up(server, "ani", "rahasia sekali") as ani, await Client.sign_up(server, "budi") as budi:
        room = (await ani.create_room())["id"]
        await budi.join_room(room)

        record = await place_call(ani, budi, room, wires)

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
        assert participants[ani.id]["transport"] in (wires[0], None)
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
