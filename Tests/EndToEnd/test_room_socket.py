"""`/ws/{room}` on the built binary, by the `websockets` package: rooms of all wires, kills, and readers that stop."""

import asyncio
import json
import random

import pytest
import websockets
from conftest import SCALE
from websockets.asyncio.client import connect

from lib.client import Client
from lib.ledger import Ledger
from lib.server import Server, until
from lib.wires import WIRES, Connection, Follower, PeerClosed

MESSAGES = int(120 * SCALE)


class RoomClient:
    """A client of the room protocol that resumes by token and cursor, and keeps every message frame it was sent."""

    def __init__(self, server: Server, room: str, name: str):
        self.server, self.room, self.name = server, room, name
        self.token: str | None = None
        self.cursor: str | None = None
        self.user: str | None = None
        # By id, in the order of their coming: what comes again after a resume is the same message.
        self.messages: dict[str, dict] = {}
        self.errors: list[dict] = []
        self.socket = None
        self.opened = 0

    def url(self) -> str:
        query = f"resume={self.token}&after={self.cursor}" if self.token else f"username={self.name}"
        return f"ws://127.0.0.1:{self.server.port}/ws/{self.room}?{query}"

    async def run(self) -> None:
        """Connected for as long as it is not cancelled."""
        while True:
            try:
                async with connect(self.url(), compression=None, max_size=None, proxy=None) as socket:
                    async for text in socket:
                        self._take(json.loads(text), socket)
            except (OSError, websockets.exceptions.WebSocketException):
                pass  # The server is away, or was killed.
            self.socket = None
            await asyncio.sleep(0.02)

    def _take(self, frame: dict, socket) -> None:
        kind = frame["type"]
        if kind == "welcome":
            assert self.user in (None, frame["userId"]), "resuming keeps the id"
            self.token, self.user = frame["resumeToken"], frame["userId"]
            if self.cursor is None:
                self.cursor = frame["cursor"]
            self.socket = socket
            self.opened += 1
        elif kind == "message":
            known = self.messages.setdefault(frame["id"], frame)
            assert known == frame, "a message that comes again is the same"
        elif kind == "error":
            self.errors.append(frame)

    async def ready(self) -> None:
        await until(lambda: self.socket is not None, f"{self.name} is connected", 20)

    async def say(self, content: str) -> dict:
        """Says something until it is seen to be said: a frame has no answer but its echo."""
        while True:
            await self.ready()
            try:
                await self.socket.send(json.dumps({"type": "message", "content": content}))
                return await until(lambda: self.said(content), f"{content!r} comes back", 5)
            except (websockets.exceptions.WebSocketException, AttributeError, AssertionError):
                if found := self.said(content):
                    return found

    def said(self, content: str) -> dict | None:
        return next((message for message in self.messages.values()
                     if message["content"] == content and message["userId"] == self.user), None)


async def test_a_room_of_all_wires_hears_everything_once_through_kills(server: Server, seed: int):
    generator = random.Random(seed)
    async with await Client.sign_up(server, "ani") as ani, await Client.sign_up(server, "budi") as budi:
        room = (await ani.create_room())["name"]
        await budi.join_room(room)
        start = await budi.tail()
        seen = {wire: [] for wire in WIRES}

        def sink(wire: str):
            return lambda event: seen[wire].append(event["data"]) if event["type"] == "message.created" else None

        async def read(wire: str) -> None:
            follower = Follower(
                server.port, budi.token, sink(wire), cursor=start, device=wire, query={"room": room})
            while True:
                await follower.follow(wire)
                await asyncio.sleep(0.02)

        dewi, citra = RoomClient(server, room, "Dewi"), RoomClient(server, room, "Citra")
        tasks = [asyncio.create_task(work) for work in [*map(read, WIRES), dewi.run(), citra.run()]]
        try:
            await dewi.ready()
            await citra.ready()
            ledger = Ledger()
            kills = {generator.randrange(10, MESSAGES - 10) for _ in range(2)}
            for number in range(MESSAGES):
                if number in kills:
                    await server.restart_after_kill()
                if number % 2:
                    ledger.acknowledge(await ani.say(room, f"rest {number}"))
                else:
                    frame = await dewi.say(f"frame {number}")
                    ledger.acknowledge(
                        {"id": frame["id"], "content": frame["content"], "user": frame["userId"]})
            last = list(ledger.content)[-1]

            def all_have_it() -> bool:
                return all(any(data["id"] == last for data in events) for events in seen.values()) and all(
                    last in client.messages for client in (dewi, citra))

            await until(all_have_it, "everybody has heard the last", 30)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # What was said again as its echo was lost in a kill may be there twice, as two messages.
        for wire, events in seen.items():
            ledger.check(events, wire, exactly=False)
            assert {data["origin"] for data in events} == {"rest", "websocket"}
        ledger.check(list(dewi.messages.values()), "Dewi", exactly=False)
        ledger.check(list(citra.messages.values()), "Citra", exactly=False)
        assert dewi.opened > 1 and not dewi.errors


async def test_a_client_that_stops_reading_is_ended_and_finds_everything_when_it_resumes(server_factory):
    server = server_factory(stream_stall_seconds=1).start()
    async with await Client.sign_up(server, "ani") as ani:
        room = (await ani.create_room())["name"]
        connection = await Connection.open(server.port, receive_buffer=8192)
        answer = await connection.request("GET", f"/ws/{room}?username=Dewi", {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        assert answer.status == 101
        first, second = await connection.exactly(2)
        assert first == 0x81 and second == 126
        welcome = json.loads(await connection.exactly(int.from_bytes(await connection.exactly(2))))
        said = [(await ani.say(room, f"{number} " + "x" * 30_000))["id"] for number in range(60)]

        # What it never took is in the log.
        query = f"resume={welcome['resumeToken']}&after={welcome['cursor']}"
        async with connect(
                f"ws://127.0.0.1:{server.port}/ws/{room}?{query}", compression=None, max_size=None,
                proxy=None) as socket:
            seen = []
            while len(seen) < len(said):
                frame = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if frame["type"] == "message":
                    seen.append(frame["id"])
            assert seen == said
        connection.close()


async def test_a_stalled_client_does_not_keep_its_connection(server_factory):
    server = server_factory(stream_stall_seconds=1).start()
    async with await Client.sign_up(server, "ani") as ani:
        room = (await ani.create_room())["name"]
        before = server.open_sockets()
        connection = await Connection.open(server.port, receive_buffer=8192)
        answer = await connection.request("GET", f"/ws/{room}?username=Dewi", {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        assert answer.status == 101
        assert server.open_sockets() > before
        for number in range(60):
            await ani.say(room, f"{number} " + "x" * 30_000)
        await until(lambda: server.open_sockets() <= before, "the stalled connection is closed", 30)
        connection.close()


@pytest.mark.parametrize("noise", ["frames", "pings", "bytes"])
async def test_a_client_that_makes_noise_costs_nobody_else_anything(server: Server, seed: int, noise: str):
    generator = random.Random(seed)
    async with await Client.sign_up(server, "ani") as ani:
        room = (await ani.create_room())["name"]
        before = server.open_sockets()
        connection = await Connection.open(server.port, receive_buffer=8192)
        await connection.request("GET", f"/ws/{room}?username=Dewi", {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        masked = {
            "frames": bytes([0x81, 0x80 | 15, 0, 0, 0, 0]) + b'{"type":"ping"}',
            "pings": bytes([0x89, 0x80 | 2, 0, 0, 0, 0, 1, 2]),
            "bytes": generator.randbytes(20),
        }[noise]
        resident = server.resident_bytes()

        async def shout() -> None:
            # It never reads what it is answered.
            for _ in range(200):
                await connection.send(masked * 2000)

        try:
            await asyncio.wait_for(shout(), 10)
        except (TimeoutError, PeerClosed):
            pass  # Held back, or cut off: either is an answer.
        assert (await ani.say(room, "still here"))["content"] == "still here"
        assert server.resident_bytes() - resident < 64 << 20
        connection.close()
        await until(lambda: server.open_sockets() <= before, "no socket is left behind", 20)
