"""The server's clocks against real connections and in real time: rings, leases, signals that nobody takes.

What takes a minute runs side by side, so that the whole takes little more than the longest of them.
"""

import asyncio
import base64
import os
import struct
import subprocess

from lib.calls import OFFER, active, outcome, pair, start
from lib.client import Client
from lib.server import Server, until
from lib.wires import Connection, Cut, Follower, PeerClosed, _masked

# The lease: 45 s after the last request or the end of the last stream, and 30 s of grace; a turn of the clock more.
HELD_SECONDS, GRACE_SECONDS, TURN_SECONDS = 45, 30, 2
TOO_LONG = HELD_SECONDS + GRACE_SECONDS + 15


def now() -> float:
    return asyncio.get_running_loop().time()


class Reader:
    """Reads one wire, again whenever it ends, as long as the block lasts; keeps what came and when."""

    def __init__(self, client: Client, cursor: str, wire: str, **more):
        self.events: list[dict] = []
        self.ends: list[str] = []
        self.wire = wire
        self.follower = Follower(
            client.server.port, client.token, self.events.append, cursor, device=client.device, **more)

    async def __aenter__(self) -> "Reader":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            reason = await self.follower.follow(self.wire)
            assert reason in ("closed", "refused:503") or reason.startswith("end:"), reason
            self.ends.append(reason)
            await asyncio.sleep(0.02)

    async def wait_for(self, kind: str, seconds: float, matches=lambda data: True) -> dict:
        def found():
            if self._task.done():
                self._task.result()
            return next((e for e in self.events if e["type"] == kind and matches(e["data"])), None)

        return await until(found, kind, seconds)


async def reader(client: Client, wire: str, **more) -> Reader:
    return Reader(client, await client.tail(), wire, **more)


def state_of(user: Client, record: dict) -> str:
    return next(p["state"] for p in record["participants"] if p["user"] == user.id)


async def upgraded(client: Client) -> Connection:
    """An open WebSocket that reads the log; the server's first frame has come."""
    connection = await Connection.open(client.server.port, Cut(reset=True))
    answer = await connection.request("GET", "/v1/ws", {
        "Authorization": f"Bearer {client.token}", "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()})
    assert answer.status == 101
    await connection.exactly(2)
    return connection


# MARK: Rings


async def test_a_ring_ends_in_time_although_the_caller_was_killed_and_the_server_restarted(server_factory):
    server: Server = server_factory().start()
    async with pair(server) as (ani, budi, room):
        phone = budi.with_device("phone")
        async with await reader(budi, "sse") as laptop, await reader(phone, "poll", wait=5) as mobile:
            caller = subprocess.Popen(
                ["curl", "-sN", "-H", f"Authorization: Bearer {ani.token}", f"{server.recorded_url}/v1/events/stream"],
                stdout=subprocess.PIPE)
            assert caller.stdout.readline(), "the caller reads"
            call = await start(ani, room, [budi], seconds=10)
            began = now()
            for device in (laptop, mobile):
                await device.wait_for("call.ringing", 5)
            caller.kill()
            caller.wait()
            await server.restart_after_kill()
            assert now() - began < 9, "the server was back before the ring was over"
            for device in (laptop, mobile):
                ended = await device.wait_for("call.ended", 15)
                assert ended["data"]["endReason"] == "missed" and ended["data"]["endedBy"] is None
            assert 10 - 0.1 <= now() - began <= 10 + TURN_SECONDS
            record = await outcome(call, ani, budi)
            assert state_of(budi, record) == "left" and record["answeredAt"] is None


async def test_a_ring_that_ran_out_while_the_server_was_down_ends_when_it_is_back(server_factory):
    server: Server = server_factory().start()
    async with pair(server) as (ani, budi, room):
        call = await start(ani, room, [budi], seconds=10)
        began = now()
        server.kill()
        await until(lambda: now() - began > 10, "the ring is over", 15)
        server.spawn()
        await asyncio.to_thread(server.wait_ready)
        ended = await until(lambda: is_ended(ani, call), "the call ends", TURN_SECONDS)
        assert ended["endReason"] == "missed"


async def is_ended(client: Client, call: str) -> dict | None:
    record = await client.get(call)
    return record if record["state"] == "ended" else None


# MARK: Leases, side by side


async def torn(server: Server, wire: str) -> None:
    """A reader whose connection is reset, and who is not heard of again, is lost after the grace at the earliest and
    after lease and grace at the latest; the other side hears so."""
    async with pair(server) as (ani, budi, room), await reader(ani, "poll") as other:
        call = await active(ani, budi, room)
        follower = Follower(server.port, budi.token, lambda event: False, await budi.tail())
        assert await follower.follow(wire, Cut(seconds=2, reset=True)) == "cut"
        gone = now()
        ended = await other.wait_for("call.ended", TOO_LONG)
        assert ended["data"]["endReason"] == "lost" and state_of(budi, ended["data"]) == "lost"
        assert GRACE_SECONDS <= now() - gone <= HELD_SECONDS + GRACE_SECONDS + TURN_SECONDS
        assert (await outcome(call, ani))["endedBy"] is None


async def said_goodbye(server: Server) -> None:
    """A WebSocket that is closed with 1000 or 1001 leaves at once."""
    for code in (1000, 1001):
        async with pair(server) as (ani, budi, room), await reader(ani, "poll") as other:
            await active(ani, budi, room)
            connection = await upgraded(budi)
            await connection.send(_masked(0x8, struct.pack("!H", code)))
            ended = await other.wait_for("call.ended", 5)
            assert ended["data"]["endReason"] == "completed" and ended["data"]["endedBy"] == budi.id
            connection.close()


async def changed_its_wire_by_goodbye(server: Server) -> None:
    """Who reads elsewhere when its WebSocket closes has only changed its wire."""
    async with pair(server) as (ani, budi, room), await reader(ani, "poll"), await reader(budi, "sse") as sse:
        call = await active(ani, budi, room)
        connection = await upgraded(budi)
        await until(lambda: sse.events, "the other stream is open")
        await connection.send(_masked(0x8, struct.pack("!H", 1000)))
        try:
            while True:
                await connection.more()
        except PeerClosed:
            connection.close()
        # Writes have an order: what the goodbye had to say is said before this one is answered.
        await ani.say(room, "still there?")
        assert (await ani.get(call))["state"] == "active"


async def test_who_polls_again_and_again_reads_by_poll(server_factory):
    """Also when nobody polls at the very moment of joining, as with curl."""
    server: Server = server_factory().start()
    async with pair(server) as (ani, budi, room), Client.admin(server) as admin:
        calls = []
        for user in (ani, budi):
            await user.get("/v1/events")
        calls.append(await active(ani, budi, room))
        await ani.post(f"{calls[0]}/leave")
        async with await reader(ani, "poll", wait=5) as here, await reader(budi, "poll", wait=5) as there:
            calls.append(await active(ani, budi, room))
            await ani.post(f"{calls[1]}/leave")
            for side in (here, there):
                await side.wait_for("call.ended", 5)
        for call in calls:
            record = await admin.get(call.replace("/v1", "/v1/admin"))
            assert record["transports"] == ["poll"]
            assert [participant["transport"] for participant in record["participants"]] == ["poll", "poll"]
        found = await admin.get("/v1/admin/calls", params={"transport": "poll"})
        assert [f"/v1/calls/{item['id']}" for item in found["items"]] == calls[::-1]


async def stayed(server: Server, *wires: str) -> None:
    """Who goes on reading is not lost, whatever the wire, also when it changes or rotates."""
    async with pair(server) as (ani, budi, room), await reader(ani, "poll"):
        call = await active(ani, budi, room)
        began = now()
        reads = await reader(budi, wires[0])
        async with reads:
            await until(lambda: now() - began > 20, "a while", 30)
        rest = Reader(budi, reads.follower.cursor, wires[-1])
        async with rest:
            await until(lambda: now() - began > TOO_LONG, "longer than any lease", TOO_LONG + 30)
            record = await ani.get(call)
            assert record["state"] == "active" and state_of(budi, record) == "joined"
            if wires[-1] in ("sse", "ndjson"):
                assert "end:rotate" in rest.ends, "silent streams of a joined device rotate"
            assert record["participants"][1]["transport"] == wires[-1]
        await budi.post(f"{call}/leave")


async def expired(server: Server) -> None:
    """A signal that nobody takes is gone after 75 s, and its sender is told; one that was written is not."""
    async with pair(server) as (ani, budi, room), await reader(budi, "poll") as sender:
        call = await active(ani, budi, room)
        start_of_log = await ani.tail()
        sent = now()
        receipt = await budi.post(f"{call}/signals", {"to": ani.id, "type": "custom", "payload": 1}, expect=202)
        assert receipt["delivery"] == "queued" and receipt["devices"] == 0
        back = await ani.post(f"{call}/signals", {"to": budi.id, "type": "custom", "payload": 2}, expect=202)
        assert back["delivery"] == "live" and back["devices"] == 1
        while now() - sent < 75 - 1:
            await ani.get("/v1/users/me")
            await asyncio.sleep(2)
        told = await sender.wait_for("signal.expired", 10, lambda data: data["signal"] == receipt["id"])
        assert now() - sent >= 75 and told["data"] == {"call": call.removeprefix("/v1/calls/"), "signal": receipt["id"]}
        signals = [event for event in await ani.log(after=start_of_log) if event["type"] == "signal"]
        assert signals == [], "what expired is not replayed"
        assert not [e for e in await ani.log(after=start_of_log) if e["type"] == "signal.expired"], "hers was read"


async def unanswered(server: Server) -> None:
    """An initial offer that is not answered for a minute is rejected by the server."""
    async with pair(server) as (ani, budi, room), await reader(budi, "sse") as offerer, await reader(ani, "sse"):
        call = await start(ani, room)
        await budi.post(f"{call}/join")
        sent = now()
        body = {"to": ani.id, "type": "offer", "sdp": OFFER}
        offered = await budi.post(f"{call}/signals", body, expect=202)
        told = await offerer.wait_for("signal", 70, lambda data: data["type"] == "reject")
        assert told["data"]["offer"] == offered["id"] and told["data"]["reason"] == "timeout"
        assert 60 <= now() - sent + 0.1 <= 60 + TURN_SECONDS
        record = await ani.get(call)
        assert record["state"] == "ringing" and state_of(budi, record) == "rejected"


async def test_leases_and_signals_follow_the_clock(server):
    scenes = {
        "torn sse": torn(server, "sse"), "torn websocket": torn(server, "websocket"), "torn poll": torn(server, "poll"),
        "goodbye": said_goodbye(server), "changed its wire by goodbye": changed_its_wire_by_goodbye(server),
        "sse to poll": stayed(server, "sse", "poll"), "poll to sse": stayed(server, "poll", "sse"),
        "sse": stayed(server, "sse", "sse"), "ndjson": stayed(server, "ndjson", "ndjson"),
        "websocket": stayed(server, "websocket", "websocket"), "expired": expired(server),
        "unanswered": unanswered(server),
    }
    results = await asyncio.gather(*scenes.values(), return_exceptions=True)
    failures = {name: result for name, result in zip(scenes, results) if isinstance(result, BaseException)}
    if failures:
        raise ExceptionGroup(", ".join(failures), list(failures.values()))
