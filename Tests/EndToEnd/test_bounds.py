"""Bounds that only real connections meet: readers that stall on any wire, answers that would be too large."""

import asyncio
import json
import random

import pytest

from conftest import SCALE
from lib.client import Client
from lib.ledger import Sightings
from lib.server import Server, until
from lib.wires import WIRES, Connection, Cut, Follower

ANSWER_BYTES_MAX = 1024 * 1024
MESSAGE_CHARACTERS = 30_000
# 1 200 streams: a leak of 16 KiB each would show, what allocators keep does not.
GROWTH_BYTES_MAX = 16 << 20
TARGETS = {
    "sse": ("/v1/events/stream", {"Accept": "text/event-stream"}),
    "ndjson": ("/v1/events/stream", {"Accept": "application/x-ndjson"}),
    "websocket": ("/v1/ws", {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}),
}


async def write_much(client: Client, room: str, count: int) -> list[str]:
    return [(await client.say(room, f"{number} " + "é" * MESSAGE_CHARACTERS))["id"] for number in range(count)]


@pytest.mark.parametrize("wire", TARGETS)
async def test_a_reader_that_stalls_is_let_go_and_resumes_without_loss(server_factory, wire: str):
    server: Server = server_factory(stream_stall_seconds=1).start()
    async with await Client.sign_up(server, "reader") as reader, await Client.sign_up(server, "writer") as writer:
        room = (await writer.create_room())["id"]
        await reader.join_room(room)
        cursor = await reader.tail()
        path, headers = TARGETS[wire]
        connection = await Connection.open(server.port, receive_buffer=4096)
        answer = await connection.request(
            "GET", f"{path}?after={cursor}", {"Authorization": f"Bearer {reader.token}"} | headers)
        assert answer.status in (101, 200)
        open_sockets = server.open_sockets()
        # Much more than the sockets on both sides hold.
        written = await write_much(writer, room, 150)
        await until(lambda: server.open_sockets() < open_sockets, "the stalled stream is ended", 15)
        connection.close()

        sightings = Sightings(f"the reader by {wire}")
        follower = Follower(server.port, reader.token, sightings.see, cursor=cursor)
        following = asyncio.create_task(follower.follow(wire))
        await until(lambda: len(sightings.messages) >= len(written) or following.done(), "everything is read", 20)
        following.cancel()
        assert [message["id"] for message in sightings.messages] == written


@pytest.mark.parametrize("wire", TARGETS)
async def test_a_large_backlog_is_caught_up_in_order_while_more_comes(server: Server, wire: str):
    async with await Client.sign_up(server, "reader") as reader, await Client.sign_up(server, "writer") as writer:
        room = (await writer.create_room())["id"]
        await reader.join_room(room)
        cursor = await reader.tail()
        written = await write_much(writer, room, 100)
        sightings = Sightings(f"the reader by {wire}")
        follower = Follower(server.port, reader.token, sightings.see, cursor=cursor)
        following = asyncio.create_task(follower.follow(wire))
        written += await write_much(writer, room, 100)
        await until(lambda: len(sightings.messages) >= len(written) or following.done(), "everything is read", 20)
        following.cancel()
        assert [message["id"] for message in sightings.messages] == written


async def test_a_poll_stops_at_its_bound_and_says_that_there_is_more(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        cursor = await client.tail()
        written = await write_much(client, room, 60)
        read: list[str] = []
        answers = 0
        more = True
        while more:
            answer = await client.request("GET", "/v1/events", params={"after": cursor, "wait": 0, "limit": 1000})
            page = json.loads(answer.content)
            assert len(answer.content) <= ANSWER_BYTES_MAX + 64 * 1024, "one event may pass the bound, not two"
            assert page["events"], "an answer that says there is more must bring something"
            read += [event["data"]["id"] for event in page["events"] if event["type"] == "message.created"]
            cursor, more = page["cursor"], page["more"]
            answers += 1
        assert read == written and answers >= 60 * MESSAGE_CHARACTERS * 2 // ANSWER_BYTES_MAX


async def test_streams_that_come_and_go_leave_nothing_behind(server: Server, seed: int):
    generator = random.Random(seed)
    async with await Client.sign_up(server) as client:
        start, settled = await client.tail(), server.open_sockets()

        async def come_and_go(count: int, device: str) -> None:
            for _ in range(count):
                # With a cursor, a poll waits, and longer than this test would.
                follower = Follower(
                    server.port, client.token, lambda event: None, cursor=start, device=device, wait=60)
                # Ends in the head, in stream.ready, which are about 600 bytes together, or while waiting.
                cut = Cut(bytes=generator.randint(1, 700), seconds=0.05, reset=generator.random() < 0.5)
                await follower.follow(generator.choice(WIRES), cut)

        async def many(count: int) -> None:
            await asyncio.gather(*(come_and_go(count, f"device-{number}") for number in range(8)))

        await many(50)  # Warms up: pools and caches grow to their size.
        await until(lambda: server.open_sockets() <= settled + 1, "streams are closed", 20)
        resident = server.resident_bytes()
        await many(int(150 * max(1, SCALE)))
        await until(lambda: server.open_sockets() <= settled + 1, "streams are closed", 20)
        assert server.resident_bytes() < resident + GROWTH_BYTES_MAX
        # All places are free again.
        held = [Follower(server.port, client.token, lambda event: None, device="device-0") for _ in range(8)]
        holding = [asyncio.create_task(follower.follow("ndjson")) for follower in held]
        await until(lambda: all(follower.control for follower in held), "eight streams are open")
        for task in holding:
            task.cancel()
