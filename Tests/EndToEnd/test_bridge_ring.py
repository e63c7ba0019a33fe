"""Comblangs bridged to one another's room actors in a ring: whatever is said anywhere is everywhere once."""

import pytest

from lib.bridges import is_drained, is_live, make_bridge, url
from lib.calls import ANSWER, OFFER, start
from lib.client import Client
from lib.inbox import Inbox
from lib.server import Server, until
from lib.wires import Follower

pytestmark = pytest.mark.anyio


async def ring(server_factory, count: int):
    servers: list[Server] = [server_factory(bridge_retry_seconds=1).start() for _ in range(count)]
    people = [await Client.sign_up(server, f"orang{n}") for n, server in enumerate(servers)]
    admins = [Client.admin(server) for server in servers]
    for admin, person in zip(admins, people):
        await person.create_room(name="balai")
    for n, admin in enumerate(admins):
        far = servers[(n + 1) % count]
        await admin.post("/v1/admin/bridges", {"name": "ring", "room": "balai", "url": url(far.port)}, expect=201)
    for admin in admins:
        await is_live(admin, "ring")
    return servers, admins, people


@pytest.mark.parametrize("count", [2, 3])
async def test_a_message_appears_once_in_each(server_factory, count):
    servers, admins, people = await ring(server_factory, count)
    expected = set()
    for number in range(15):
        for n, person in enumerate(people):
            await person.say("balai", f"{n} kata {number}")
            expected.add(f"{n} kata {number}")

    async def contents(person: Client):
        return [message["content"] for message in await person.history("balai")]

    for person in people:
        async def complete():
            found = await contents(person)
            return len(found) >= len(expected) and set(found) == expected
        await until(complete, "all is everywhere", 40)
    for admin in admins:
        await is_drained(admin, "ring", 40)
    # Every way keeps its order: each lap drives whatever copy might still be on its way one server further.
    for lap in range(count + 1):
        words = {f"penutup {lap} {n}" for n in range(count)}
        for n, person in enumerate(people):
            await person.say("balai", f"penutup {lap} {n}")
        for person in people:
            async def closed():
                return words <= set(await contents(person))
            await until(closed, "the last words are everywhere", 40)
        expected |= words
    for n, person in enumerate(people):
        found = await contents(person)
        assert sorted(found) == sorted(expected), f"server {n}"
        for author in range(count):
            own = [text for text in found if text.startswith(f"{author} kata")]
            assert own == [f"{author} kata {number}" for number in range(15)], f"server {n}, author {author}"
        members = (await person.get("/v1/rooms/balai/members", params={"limit": 200}))["items"]
        assert len(members) <= 3 * count, f"people multiply: {[member['displayName'] for member in members]}"
    for client in people + admins:
        await client.http.aclose()


async def test_a_ring_stays_whole_when_a_server_is_killed(server_factory):
    servers, admins, people = await ring(server_factory, 2)
    for number in range(10):
        await people[0].say("balai", f"a {number}")
    await servers[1].restart_after_kill()
    for number in range(10, 20):
        await people[0].say("balai", f"a {number}")

    async def arrived():
        try:
            found = [message["content"] for message in await people[1].history("balai")]
        except Exception:
            return None
        return found if len(found) >= 20 else None

    found = await until(arrived, "all arrives", 60)
    assert found == [f"a {number}" for number in range(20)]
    for client in people + admins:
        await client.http.aclose()


def signal_of(kind: str):
    return lambda event: event["type"] == "signal" and event["data"]["type"] == kind


@pytest.mark.parametrize("who", ["the caller", "the callee"])
async def test_hanging_up_on_either_side_ends_the_call_on_both(server_factory, who):
    here, there = server_factory().start(), server_factory().start()
    async with (
        Client.admin(here) as admin, await Client.sign_up(here, "ani") as ani, await Client.sign_up(there, "budi") as budi,
    ):
        room = (await ani.create_room())["id"]
        far = (await budi.create_room(name="balai"))["id"]
        async with (
            Inbox(Follower(here.port, ani.token, None, await ani.tail()), "sse") as anis,
            Inbox(Follower(there.port, budi.token, None, await budi.tail()), "poll") as budis,
        ):
            await make_bridge(admin, "far", room, there.port, remote_room="balai")
            await is_live(admin, "far")
            call = await start(ani, room)
            opened = await budis.wait_for(lambda event: event["type"] == "call.created", "the call over there")
            copy, caller = f"/v1/calls/{opened['call']}", opened["data"]["initiator"]
            await budi.post(f"{copy}/join")
            await budi.post(f"{copy}/signals", {"to": caller, "type": "offer", "sdp": OFFER}, expect=202)
            offered = (await anis.wait_for(signal_of("offer"), "the offer"))["data"]
            body = {"to": offered["from"], "type": "answer", "sdp": ANSWER, "offer": offered["id"]}
            await ani.post(f"{call}/signals", body, expect=202)
            await budis.wait_for(signal_of("answer"), "the answer")
            if who == "the caller":
                await ani.post(f"{call}/leave")
            else:
                await budi.post(f"{copy}/leave")
            for client, path in ((ani, call), (budi, copy)):

                async def ended():
                    found = await client.get(path)
                    return found if found["state"] == "ended" else None

                # Before any lease, and before those who left the remote room count as gone.
                record = await until(ended, "the call has ended", 8)
                assert record["endReason"] == "completed" and record["answeredAt"]
        assert len((await ani.get(f"/v1/rooms/{room}/calls"))["items"]) == 1
        assert len((await budi.get(f"/v1/rooms/{far}/calls"))["items"]) == 1


async def test_a_call_that_nobody_joined_is_over_on_both_sides_when_its_caller_hangs_up(server_factory):
    here, there = server_factory().start(), server_factory().start()
    async with (
        Client.admin(here) as admin, await Client.sign_up(here, "ani") as ani, await Client.sign_up(there, "budi") as budi,
    ):
        room = (await ani.create_room())["id"]
        far = (await budi.create_room(name="balai"))["id"]
        await make_bridge(admin, "far", room, there.port, remote_room="balai")
        await is_live(admin, "far")
        # She reads on after it, so that her session over there stays.
        async with Inbox(Follower(here.port, ani.token, None, await ani.tail()), "sse"):
            call = await start(ani, room)

            async def copy(state: str):
                found = (await budi.get(f"/v1/rooms/{far}/calls"))["items"]
                return found[0] if found and found[0]["state"] == state else None

            await until(lambda: copy("ringing"), "the call over there")
            await ani.post(f"{call}/leave")
            assert (await until(lambda: copy("ended"), "it is over there", 8))["endReason"] == "cancelled"


async def test_two_rooms_bridged_to_one_hear_all_that_is_said_there(server_factory):
    here, there = server_factory().start(), server_factory().start()
    async with (
        Client.admin(here) as admin, await Client.sign_up(here, "ani") as ani, await Client.sign_up(there, "budi") as budi,
    ):
        await budi.create_room(name="balai")
        rooms = [(await ani.create_room())["id"] for _ in range(2)]
        for number, room in enumerate(rooms):
            await make_bridge(admin, f"far{number}", room, there.port, remote_room="balai")
            await is_live(admin, f"far{number}")
        for number in range(10):
            await budi.say("balai", f"kata {number}")
        for room in rooms:

            async def complete():
                return len(await ani.history(room)) >= 10

            await until(complete, "all of it is in each room")
        await budi.say("balai", "penutup")
        for room in rooms:

            async def closed():
                found = [message["content"] for message in await ani.history(room)]
                return found if "penutup" in found else None

            assert await until(closed, "the last word") == [f"kata {number}" for number in range(10)] + ["penutup"]
