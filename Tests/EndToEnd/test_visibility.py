"""Who sees what over time: a reader who is let into rooms and put out of them while hopping between wires."""

import asyncio
import random

import pytest

from conftest import SCALE
from lib.client import Client
from lib.hopping import Hops, hop
from lib.ledger import Sightings
from lib.server import Server, until
from lib.wires import Follower

ROOMS = 3
STEPS = 500
ROUNDS = max(1, round(2 * SCALE))


def expected(log: list[dict], user: str) -> tuple[set[str], set[str]]:
    """From the log as somebody sees it who is in all rooms throughout: ids of the room events that `user` may see
    (those between a joining and the leaving after it), and of those that `user` must see: one's own leavings, and
    everything since the last joining of a room that one is still in."""
    may: set[str] = set()
    must: set[str] = set()
    since: dict[str, list[str]] = {}
    for event in log:
        room = event.get("room")
        concerns_user = event["type"].startswith("member.") and event["data"]["user"] == user
        if event["type"] == "member.joined" and concerns_user:
            since[room] = []
        if room not in since:
            continue
        since[room].append(event["id"])
        may.add(event["id"])
        if event["type"] == "member.left" and concerns_user:
            must.add(event["id"])
            del since[room]
    return may, must.union(*since.values())


async def change_and_talk(owner: Client, reader: Client, rooms: list[str], generator: random.Random) -> None:
    """Random messages, joinings and removals; at the end the reader is in the first room."""
    for step in range(STEPS):
        room = generator.choice(rooms)
        kind = generator.random()
        member = f"/v1/rooms/{room}/members/{reader.id}"
        if kind < 0.7:
            await owner.say(room, f"number {step}")
        elif kind < 0.85:
            assert (await owner.request("PUT", member, {})).status_code in (200, 201)
        else:
            assert (await owner.request("DELETE", member)).status_code in (204, 404)
    await owner.request("PUT", f"/v1/rooms/{rooms[0]}/members/{reader.id}", {})
    await owner.say(rooms[0], "the end")


@pytest.mark.parametrize("round_number", range(ROUNDS))
async def test_a_hopping_reader_sees_what_is_theirs_and_nothing_else(server: Server, seed: int, round_number: int):
    generator = random.Random(seed)
    async with await Client.sign_up(server, "owner") as owner, await Client.sign_up(server, "reader") as reader:
        rooms = [(await owner.create_room("private"))["id"] for _ in range(ROOMS)]
        start = await owner.tail()
        sightings = Sightings("the hopping reader")
        hops = Hops()
        hopping = asyncio.create_task(
            hop(Follower(server.port, reader.token, sightings.see, cursor=start), generator, hops))
        await change_and_talk(owner, reader, rooms, random.Random(generator.random()))

        def is_done() -> bool:
            return hopping.done() or any(message["content"] == "the end" for message in sightings.messages)

        await until(is_done, "the reader saw the last message", 30)
        hopping.cancel()
        (failure,) = await asyncio.gather(hopping, return_exceptions=True)
        if not isinstance(failure, asyncio.CancelledError):
            raise failure

        log = await owner.log(after=start)
        may, must = expected(log, reader.id)
        seen = {event["id"] for event in sightings.events if "room" in event}
        kinds = {event["id"]: f"{event['id']} {event['type']} in {event.get('room')}" for event in log}
        print(f"{len(log)} events, {len(may)} visible, {len(must)} due, {len(seen)} seen; {hops}")
        assert len(may) > STEPS // 10 and len(may) < len(log), "too little happened"
        assert seen <= may, f"seen without right: {[kinds.get(id, id) for id in sorted(seen - may)][:5]}"
        assert must <= seen, f"missed: {[kinds[id] for id in sorted(must - seen)][:5]}"
        # History shows a member all of the room, and an outsider nothing.
        for room in rooms:
            answer = await reader.request("GET", f"/v1/rooms/{room}/messages", params={"limit": 1})
            is_member = (await owner.request("GET", f"/v1/rooms/{room}/members")).text.count(reader.id) > 0
            assert answer.status_code == (200 if is_member else 404)
