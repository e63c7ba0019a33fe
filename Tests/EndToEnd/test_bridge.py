"""A room here and a room of the reference actor, joined: messages, presence and calls both ways."""

import asyncio
import json
import ssl
import subprocess

import pytest

from lib.bridges import URL, is_drained, is_live, make_bridge, member_named
from lib.calls import ANSWER, OFFER, start
from lib.client import Client
from lib.inbox import Inbox
from lib.remote_room import CuttingProxy, RemoteRoom, RemoteUser
from lib.server import until
from lib.wires import Follower

pytestmark = pytest.mark.anyio


@pytest.fixture
def remote(tmp_path):
    room = RemoteRoom(tmp_path / "remote").start()
    yield room
    room.discard()


@pytest.fixture
async def admin(server):
    async with Client.admin(server) as client:
        yield client


async def bridged_room(server, admin: Client, port: int, **more) -> tuple[Client, str]:
    """Ani in a room of hers whose bridge is live."""
    ani = await Client.sign_up(server, "ani")
    room = (await ani.create_room())["id"]
    await make_bridge(admin, "durable", room, port, **more)
    await is_live(admin, "durable")
    return ani, room


async def test_messages_go_both_ways_and_come_back_to_nobody(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await ani.say(room, "halo dari sini")
        heard = await rudi.hears("halo dari sini")
        assert heard["username"] == ani.user["displayName"] and heard["color"] == ani.user["color"]
        assert heard["metadata"]["_comblang"]["id"].startswith("msg_")
        await rudi.say("halo juga", {"pin": True})
        await is_drained(admin, "durable")

        async def history():
            found = await ani.history(room)
            return found if len(found) == 2 else None

        mine, his = await until(history, "two messages")
        assert (mine["content"], mine["origin"]) == ("halo dari sini", "rest")
        assert (his["content"], his["origin"], his["displayName"]) == ("halo juga", "bridge", "Rudi")
        assert his["metadata"]["pin"] is True
        user = await ani.get(f"/v1/users/{his['user']}")
        assert user["kind"] == "bridged" and user["username"].startswith("rudi.")
        # Both ways keep their order, so that what comes back of an earlier one comes before a later one.
        await ani.say(room, "satu lagi")
        await rudi.hears("satu lagi")
        await rudi.say("dan satu")
        await until(lambda: _said(ani, room, 4), "a copy of mine would be here")
        await ani.say(room, "penutup")
        await until(lambda: len(remote.said()) >= 5, "a copy of his would be there")
        expected = ["halo dari sini", "halo juga", "satu lagi", "dan satu", "penutup"]
        assert [message["content"] for message in remote.said()] == expected
        assert [message["content"] for message in await ani.history(room)] == expected


async def test_what_is_said_while_the_remote_room_is_away_arrives_in_order(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani:
        remote.kill()
        for number in range(40):
            await ani.say(room, f"menunggu {number}")

        async def down():
            bridge = await admin.get("/v1/admin/bridges/durable")
            return bridge["state"] == "down" and bridge["lastError"] and bridge["queued"] == 40

        await until(down, "the bridge is down")
        room_says = await until(lambda: _bridge_state(ani, room, "down"), "the room hears of it")
        assert room_says["bridge"] == "durable"
        # Over a restart of the server as well.
        await server.restart_after_kill()
        remote.start()
        await is_live(admin, "durable", 30)
        await is_drained(admin, "durable")
        assert [message["content"] for message in remote.said()] == [f"menunggu {number}" for number in range(40)]
        await until(lambda: _bridge_state(ani, room, "live"), "the room hears that it is live")


async def _bridge_state(client: Client, room: str, state: str):
    found = await client.get(f"/v1/rooms/{room}")
    return found if found["bridgeState"] == state else None


async def test_what_was_said_there_meanwhile_is_taken_in_once(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await rudi.say("sebelum")
        await until(lambda: _said(ani, room, 1), "the first arrives")
        await admin.patch("/v1/admin/bridges/durable", {"paused": True})
        await until(lambda: _bridge_state(ani, room, "paused"), "paused")
        for number in range(10):
            await rudi.say(f"sementara {number}")
        await ani.say(room, "dari sini")
        await until(lambda: len(remote.said()) == 11, "said there")
        assert len(await ani.history(room)) == 2
        await admin.patch("/v1/admin/bridges/durable", {"paused": False})
        history = await until(lambda: _said(ani, room, 12), "all arrive")
        theirs = [message["content"] for message in history if message["origin"] == "bridge"]
        assert theirs == ["sebelum"] + [f"sementara {number}" for number in range(10)]
        await rudi.hears("dari sini")


async def _said(client: Client, room: str, count: int):
    history = await client.history(room)
    return history if len(history) >= count else None


async def test_what_was_said_before_the_bridge_began_is_not_taken_in(server, admin, remote):
    async with RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await rudi.say("lama")
        await rudi.hears("lama")
        ani, room = await bridged_room(server, admin, remote.port)
        async with ani:
            await rudi.say("baru")
            history = await until(lambda: _said(ani, room, 1), "the new one arrives")
            assert [message["content"] for message in history] == ["baru"]


async def test_people_see_one_another_come_and_go(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        follower = Follower(server.port, ani.token, None, await ani.tail())
        async with Inbox(follower, "sse") as inbox:
            # Ani reads, so she is there: the remote room sees her, as herself and not as the bridge.
            name = ani.user["displayName"]
            await rudi.wait_for(lambda frame: frame["type"] == "join" and frame["username"] == name, "ani joins")
            member = await member_named(ani, room, "Rudi")
            assert member["role"] == "member"
            await until(lambda: _online(ani, room, "Rudi"), "Rudi is online")
            async with RemoteUser(remote.port, "kamar", "Sri"):
                await inbox.wait_for(
                    lambda event: event["type"] == "member.joined" and event["data"]["displayName"] == "Sri", "Sri joins")
            members = [member["displayName"] for member in (await ani.get(f"/v1/rooms/{room}/members"))["items"]]
            assert sorted(members) == sorted([name, "Rudi", "Sri"]), "nobody meets themselves as a stranger"
            poll = asyncio.create_task(ani.get(
                "/v1/events", params={"after": await ani.tail(), "wait": 10, "types": "typing"}))
            await until(lambda: _types(rudi, poll), "typing is heard of")
            assert poll.result()["ephemeral"][0]["data"]["displayName"] == "Rudi"
            await ani.post(f"/v1/rooms/{room}/typing", expect=204)
            await rudi.wait_for(lambda frame: frame["type"] == "typing" and frame["username"] == name, "ani types")


async def _types(user: RemoteUser, poll: asyncio.Task) -> bool:
    await user.send({"type": "typing"})
    await asyncio.sleep(0.1)
    return poll.done()


async def _online(client: Client, room: str, name: str):
    return (await member_named(client, room, name))["online"]


async def test_a_remote_user_takes_up_an_invitation_from_here(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        call = await start(ani, room)
        invitation = await rudi.wait_for(
            lambda frame: frame["type"] == "message" and (frame["metadata"] or {}).get("action") == "join_call", "ring")
        async with Inbox(Follower(server.port, ani.token, None, await ani.tail()), "poll") as inbox:
            await rudi.signal(invitation["userId"], {"type": "offer", "sdp": OFFER})
            offered = (await inbox.wait_for(lambda event: event["type"] == "signal", "the offer"))["data"]
            assert offered["type"] == "offer" and offered["sdp"] == OFFER
            him = await ani.get(f"/v1/users/{offered['from']}")
            assert him["kind"] == "bridged"
            body = {"to": him["id"], "type": "answer", "sdp": ANSWER, "offer": offered["id"]}
            receipt = await ani.post(f"{call}/signals", body, expect=202)
            assert receipt["delivery"] == "live"
            assert (await rudi.wait_for_signal("answer"))["inner"]["sdp"] == ANSWER
            candidate = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
            await rudi.signal(invitation["userId"], {"type": "candidate", "candidate": candidate})
            candidates = await inbox.wait_for(
                lambda event: event["type"] == "signal" and event["data"]["type"] == "candidates", "a candidate")
            assert candidates["data"]["candidates"][0]["candidate"] == candidate["candidate"]
            await ani.post(f"{call}/signals", {"to": him["id"], "type": "candidates", "candidates": [candidate]}, expect=202)
            assert (await rudi.wait_for_signal("candidate"))["inner"]["candidate"] == candidate
            await ani.post(f"{call}/leave")
            await rudi.wait_for_signal("leave")
        record = await ani.get(call)
        assert record["state"] == "ended" and record["endReason"] == "completed"
        assert {one["transport"] for one in record["participants"] if one["user"] == him["id"]} == {"bridge"}


async def test_a_local_user_takes_up_an_invitation_from_there(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        async with Inbox(Follower(server.port, ani.token, None, await ani.tail()), "sse") as inbox:
            await rudi.say("📞 [KLIK DI SINI] ", {"action": "join_call"})
            created = await inbox.wait_for(lambda event: event["type"] == "call.created", "the call")
            call = f"/v1/calls/{created['call']}"
            peers = (await ani.post(f"{call}/join"))["peers"]
            assert [peer["user"] for peer in peers] == [created["data"]["initiator"]]
            offered = await ani.post(f"{call}/signals", {"to": peers[0]["user"], "type": "offer", "sdp": OFFER}, expect=202)
            frame = await rudi.wait_for_signal("offer")
            assert frame["inner"]["sdp"] == OFFER
            await rudi.signal(frame["userId"], {"type": "answer", "sdp": ANSWER})
            answered = await inbox.wait_for(
                lambda event: event["type"] == "signal" and event["data"]["type"] == "answer", "the answer")
            assert answered["data"]["offer"] == offered["id"]
            await until(lambda: _state(ani, call, "active"), "active")
        # He goes; the seed says no more than that.
        await rudi.leave()
        record = await until(lambda: _state(ani, call, "ended"), "ended", 40)
        assert record["answeredAt"] is not None and record["endedBy"] == created["data"]["initiator"]


async def _state(client: Client, call: str, state: str):
    found = await client.get(call)
    return found if found["state"] == state else None


async def test_a_remote_user_declines_an_offer(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await rudi.say("📞 [KLIK DI SINI] ", {"action": "join_call"})
        async with Inbox(Follower(server.port, ani.token, None, "earliest"), "ndjson") as inbox:
            created = await inbox.wait_for(lambda event: event["type"] == "call.created", "the call")
            call = f"/v1/calls/{created['call']}"
            await ani.post(f"{call}/join")
            await ani.post(
                f"{call}/signals", {"to": created["data"]["initiator"], "type": "offer", "sdp": OFFER}, expect=202)
            frame = await rudi.wait_for_signal("offer")
            await rudi.signal(frame["userId"], {"type": "reject"})
            rejected = await inbox.wait_for(
                lambda event: event["type"] == "signal" and event["data"]["type"] == "reject", "the rejection")
            assert rejected["data"]["from"] == created["data"]["initiator"]


async def test_a_signal_that_cannot_get_through_expires_with_notice(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await rudi.say("📞 [KLIK DI SINI] ", {"action": "join_call"})
        async with Inbox(Follower(server.port, ani.token, None, "earliest"), "sse") as inbox:
            created = await inbox.wait_for(lambda event: event["type"] == "call.created", "the call")
            await ani.post(f"/v1/calls/{created['call']}/join")
            remote.kill()
            offered = await ani.post(
                f"/v1/calls/{created['call']}/signals",
                {"to": created["data"]["initiator"], "type": "offer", "sdp": OFFER}, expect=202)
            # The offer times out, or its receiver's lease does: in the end the call is over, and Ani was told.
            expired = await inbox.wait_for(lambda event: event["type"] in ("signal.expired", "call.ended"), "notice", 110)
            assert expired["type"] == "call.ended" or expired["data"]["signal"] == offered["id"]


async def test_removing_a_bridge_takes_its_users_out_of_the_room(server, admin, remote):
    ani, room = await bridged_room(server, admin, remote.port)
    async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
        await rudi.say("halo")
        await until(lambda: _said(ani, room, 1), "a message")
        await admin.delete("/v1/admin/bridges/durable")
        members = (await ani.get(f"/v1/rooms/{room}/members"))["items"]
        assert [member["user"] for member in members] == [ani.id]
        assert (await ani.get(f"/v1/rooms/{room}"))["bridge"] is None
        await rudi.wait_for(lambda frame: frame["type"] == "leave", "our sessions leave")
        assert (await ani.history(room))[0]["displayName"] == "Rudi", "what he said keeps his name"
        # The same name again is another bridge of the same remote room.
        await make_bridge(admin, "durable", room, remote.port)
        await is_live(admin, "durable")
        await rudi.say("lagi")
        await until(lambda: _said(ani, room, 2), "a second message")


async def test_a_cut_session_loses_nothing(server, admin, remote):
    async with CuttingProxy(lambda: remote.port) as proxy:
        ani, room = await bridged_room(server, admin, proxy.port)
        async with ani, RemoteUser(remote.port, "kamar", "Rudi") as rudi:
            for round in range(5):
                for number in range(10):
                    await ani.say(room, f"sini {round} {number}")
                    await rudi.say(f"sana {round} {number}")
                proxy.cut()
            await is_drained(admin, "durable")
            history = await until(lambda: _said(ani, room, 100), "all are here", 60)
            expected = [(round, number) for round in range(5) for number in range(10)]
            assert [m["content"] for m in history if m["origin"] == "bridge"] == [f"sana {r} {n}" for r, n in expected]
            mine = [message["content"] for message in remote.said() if message["content"].startswith("sini")]
            assert mine == [f"sini {r} {n}" for r, n in expected]


def certificate(directory, name: str, subject: str) -> tuple[str, ssl.SSLContext]:
    """An authority's PEM, and what a server needs that has a certificate of it for `subject`."""
    key, file = directory / f"{name}.key", directory / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", file, "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file.read_text(), context


async def test_wss_checks_whom_it_has_reached(server, admin, remote, tmp_path):
    authority, own = certificate(tmp_path, "own", "IP:127.0.0.1")
    stranger, _ = certificate(tmp_path, "stranger", "IP:127.0.0.1")
    misnamed_authority, misnamed = certificate(tmp_path, "misnamed", "DNS:other.example")
    async with await Client.sign_up(server, "ani") as ani:
        async with CuttingProxy(lambda: remote.port, own) as good, CuttingProxy(lambda: remote.port, misnamed) as bad:
            for name, port, trusted in (
                ("trusted", good.port, authority), ("system", good.port, None), ("stranger", good.port, stranger),
                ("misnamed", bad.port, misnamed_authority),
            ):
                room = (await ani.create_room())["id"]
                more = {"certificateAuthority": trusted} if trusted else {}
                await make_bridge(admin, name, room, port, url=URL.format(port=port).replace("ws:", "wss:"), **more)
            await is_live(admin, "trusted")
            for name in ("system", "stranger", "misnamed"):
                async def failed():
                    bridge = await admin.get(f"/v1/admin/bridges/{name}")
                    return bridge if bridge["counts"]["disconnects"] else None
                bridge = await until(failed, f"{name} has failed")
                assert bridge["state"] == "down" and "cannot connect" in bridge["lastError"]["message"], name


async def test_secrets_reach_the_remote_room_and_no_log(server, admin, remote, tmp_path):
    seen = []

    async def serve(reader, writer):
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await Client.sign_up(server, "ani") as ani:
        room = (await ani.create_room())["id"]
        door = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        await make_bridge(
            admin, "closed", room, port, url=f"ws://127.0.0.1:{port}/r/{{room}}?key=rahasia-url&u={{username}}",
            headers={"Authorization": "Bearer rahasia-header"})

        async def failed():
            return (await admin.get("/v1/admin/bridges/closed"))["lastError"]

        assert "401" in (await until(failed, "an error"))["message"]
        door.close()
        assert "Authorization: Bearer rahasia-header" in seen[0] and "/r/kamar?key=rahasia-url&u=closed" in seen[0]
        assert "rahasia" not in server.output()
        assert "rahasia-header" not in json.dumps(await admin.get("/v1/admin/bridges"))


async def test_bridges_of_the_file_are_made_changed_and_removed(server_factory, remote, tmp_path):
    file = tmp_path / "bridges.json"
    item = {"name": "berkas", "room": "lobby", "url": URL.format(port=remote.port), "remoteRoom": "kamar"}
    file.write_text(json.dumps([item]))
    server = server_factory(bridges=file).start()
    async with Client.admin(server) as admin:
        bridge = await is_live(admin, "berkas")
        assert bridge["fromFile"] and bridge["remoteRoom"] == "kamar"
    server.stop()
    file.write_text(json.dumps([item | {"remoteRoom": "lain"}]))
    server.start()
    async with Client.admin(server) as admin:
        assert (await is_live(admin, "berkas"))["remoteRoom"] == "lain"
    server.stop()
    file.write_text(json.dumps([item | {"url": "http://x"}]))
    server.spawn()
    assert server.process.wait(20) == 1 and "berkas" in server.output()
    file.write_text("[]")
    server.start()
    async with Client.admin(server) as admin:
        assert (await admin.get("/v1/admin/bridges"))["items"] == []
