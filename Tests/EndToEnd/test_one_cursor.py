"""One cursor for all wires: a reader that hops between them, cut at random, misses nothing and sees nothing twice."""

import asyncio
import json
import random

import pytest

from conftest import SCALE
from lib.client import Client
from lib.hopping import HOPS, Hops, hop
from lib.ledger import Ledger, Sightings, seq
from lib.server import Server, until
from lib.wires import WIRES, Connection, Follower

WRITERS = 8
MESSAGES = 5000
ROUNDS = max(1, round(3 * SCALE))
# Three times each wire, one of them by a library; each hop lasts half a second at most, bar closing handshakes.
HOPS_WANTED = 3 * len(HOPS)


class Writer:
    """Posts messages on one kept connection; the raw socket keeps 5 000 of them cheap."""

    def __init__(self, client: Client, room: str, ledger: Ledger, hops: Hops):
        self.client, self.room, self.ledger, self.hops = client, room, ledger, hops

    async def write(self, count: int, generator: random.Random) -> None:
        connection = await Connection.open(self.client.server.port)
        try:
            for number in range(count):
                # Held back to the reader's hops: a fast server would have taken all of it before the second one.
                await self.hops.reach(HOPS_WANTED * number / count)
                # Sizes from a word to several kilobytes, so that frames begin and end anywhere in a segment.
                content = f"{self.client.user['username']} {number} " + "é𝄞x" * int(2 ** generator.uniform(0, 10) / 4)
                answer = await connection.request(
                    "POST", f"/v1/rooms/{self.room}/messages",
                    {"Authorization": f"Bearer {self.client.token}", "Content-Type": "application/json"},
                    json.dumps({"content": content}).encode())
                body = await answer.body()
                assert answer.status == 201, (answer.status, body)
                self.ledger.acknowledge(json.loads(body))
        finally:
            connection.close()


@pytest.mark.parametrize("round_number", range(ROUNDS))
async def test_every_event_comes_once_and_in_order_whatever_the_wire(server: Server, seed: int, round_number: int):
    generator = random.Random(seed)
    ledger = Ledger()
    reader = await Client.sign_up(server, "reader")
    room = (await reader.create_room())["id"]
    writers = [await Client.sign_up(server, f"writer{number}") for number in range(WRITERS)]
    for writer in writers:
        await writer.join_room(room)

    sightings = Sightings("the hopping reader")
    scope = generator.choice(({}, {"room": room}, {"types": "message.*"}, {"types": "message.created", "room": room}))
    start = await reader.tail()
    follower = Follower(server.port, reader.token, sightings.see, cursor=start, query=scope)
    hops = Hops()
    hopping = asyncio.create_task(hop(follower, generator, hops))
    writing = asyncio.gather(*(
        Writer(writer, room, ledger, hops).write(MESSAGES // WRITERS, random.Random(generator.random()))
        for writer in writers))
    async with asyncio.timeout(120):
        await asyncio.wait((writing, hopping), return_when=asyncio.FIRST_COMPLETED)
        if hopping.done():
            hopping.result()
        await writing
    await until(
        lambda: len(sightings.messages) >= len(ledger) or hopping.done(), "the reader saw as many as were written", 60)
    hopping.cancel()
    (failure,) = await asyncio.gather(hopping, return_exceptions=True)
    if not isinstance(failure, asyncio.CancelledError):
        raise failure

    print(f"scope {scope}, {hops}")
    assert {name.split()[0] for name in hops.counts} == set(HOPS)
    assert hops.counts.keys() & {f"{wire} cut" for wire in WIRES}
    assert len(ledger) == MESSAGES
    ledger.check(sightings.messages, "the hopping reader")
    ledger.check(await reader.history(room), "history")
    logged = [event for event in await reader.log(after=start, **scope)]
    assert [event["id"] for event in logged] == [event["id"] for event in sightings.events], "the log differs"
    assert [seq(event["id"]) for event in logged] == sorted({seq(event["id"]) for event in logged})
    for client in (reader, *writers):
        await client.http.aclose()


async def test_a_repeated_poll_returns_the_same_events_first(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        start = await client.tail()
        for number in range(5):
            await client.say(room, f"number {number}")
        query = {"after": start, "wait": 0, "limit": 3}
        first = await client.get("/v1/events", params=query)
        assert len(first["events"]) == 3 and first["more"]
        assert await client.get("/v1/events", params=query) == first
        rest = await client.get("/v1/events", params={"after": first["cursor"], "wait": 0})
        await client.say(room, "later")
        again = await client.get("/v1/events", params={"after": start, "wait": 0})
        contents = [event["data"]["content"] for event in again["events"] if event["type"] == "message.created"]
        assert contents == [f"number {number}" for number in range(5)] + ["later"]
        assert again["events"][:5] == first["events"] + rest["events"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_cursor_the_log_does_not_reach_is_told_and_never_skipped(server: Server, wire: str):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        await client.say(room, "before")
        tail = await client.tail()
        epoch, place = tail.split(".")
        for cursor in (f"zzzz.{place}", f"{epoch}.{int(place) + 1000}"):
            seen: list[dict] = []
            follower = Follower(server.port, client.token, lambda event: seen.append(event) or True, cursor=cursor)
            if wire == "poll":
                answer = await client.get("/v1/events", expect=410, params={"after": cursor})
                assert answer["type"].endswith("/problems/cursor-expired") and answer["cursor"]
                follower.cursor = answer["cursor"]
                following = asyncio.create_task(follower.follow(wire))
            else:
                follower.expects_gap = True
                following = asyncio.create_task(follower.follow(wire))
                async with asyncio.timeout(10):
                    while len(follower.control) < 2:
                        await asyncio.sleep(0.005)
                ready, gap = follower.control[:2]
                assert ready["type"] == "stream.ready" and ready["data"]["resumed"] is False
                assert gap["type"] == "stream.gap" and gap["data"]["requested"] == cursor
                assert seq(gap["data"]["cursor"]) >= seq(tail)
            after = await client.say(room, "after")
            async with asyncio.timeout(10):
                assert await following == "done"
            assert [event["data"]["id"] for event in seen] == [after["id"]]


async def test_a_cursor_that_retention_has_passed_is_told_and_history_stays(server_factory):
    kept, written = 100, 300
    server = server_factory(retention_events=kept).start()
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        start = await client.tail()
        for number in range(written):
            await client.say(room, f"number {number}")
        await server.restart_after_kill()  # It trims at its start, and then every few seconds.

        async def is_trimmed() -> bool:
            return (await client.request("GET", "/v1/events", params={"after": start, "wait": 0})).status_code == 410

        await until(is_trimmed, "the log is trimmed", 30)
        follower = Follower(server.port, client.token, lambda event: None, cursor=start, expects_gap=True)
        following = asyncio.create_task(follower.follow("sse"))
        await until(lambda: len(follower.control) >= 2, "the stream tells of the gap")
        following.cancel()
        assert [event["type"] for event in follower.control[:2]] == ["stream.ready", "stream.gap"]
        assert len(await client.log(after="earliest")) <= kept + 10  # Presence may add some.
        assert len(await client.history(room)) == written


async def test_a_malformed_cursor_is_400(server: Server):
    async with await Client.sign_up(server) as client:
        for cursor in ("x", "1", "a.b", "a.-1", "a.1.2", "."):
            answer = await client.get("/v1/events", expect=400, params={"after": cursor})
            assert answer["type"].endswith("/problems/invalid-cursor")
