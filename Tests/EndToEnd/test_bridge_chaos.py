"""Four people here by HTTP and four in a remote room talk and call, while the remote room, the bridge's sockets and the
server are killed at random: nothing is lost, nothing comes twice, and every call ends in one record."""

import asyncio
import random
from collections import Counter

import httpx
import pytest

from conftest import SCALE
from lib.bridges import is_drained, is_live, make_bridge
from lib.calls import ANSWER, MEDIA, OFFER
from lib.client import Client
from lib.remote_room import CuttingProxy, RemoteRoom, RemoteUser
from lib.server import Server, until

pytestmark = pytest.mark.anyio

PEOPLE = 4
# 10 000 messages and 200 calls with SCALE=25.
MESSAGES = int(400 * SCALE)
CALLS = int(8 * SCALE)
# So that something breaks while they talk.
PAUSE_SECONDS_MAX = 0.2
FAULTS = ["one", "all", "gone", "room", "server", "one"]


class World:
    """What breaks, and whether it still does."""

    def __init__(self, server: Server, remote: RemoteRoom, proxy: CuttingProxy, generator: random.Random):
        self.server, self.remote, self.proxy, self.generator = server, remote, proxy, generator
        self.is_over = False
        self.faults: dict[str, int] = {}

    async def break_things(self) -> None:
        bag: list[str] = []
        while not self.is_over or set(self.faults) != set(FAULTS):
            await asyncio.sleep(self.generator.uniform(0.3, 1.5))
            if not bag:  # Each in its turn, so that a short run has all of them.
                bag = self.generator.sample(FAULTS, len(FAULTS))
            what = bag.pop()
            self.faults[what] = self.faults.get(what, 0) + 1
            if what == "one":
                self.proxy.cut(self.generator)
            elif what == "all":
                self.proxy.cut()
            elif what == "gone":
                self.proxy.is_closed = True
                self.proxy.cut()
                await asyncio.sleep(self.generator.uniform(0, 1))
                self.proxy.is_closed = False
            elif what == "room":
                self.remote.kill()
                await asyncio.sleep(self.generator.uniform(0, 1))
                await asyncio.to_thread(self.remote.start)
            else:
                await self.server.restart_after_kill()


async def insist(ask, seconds: float = 60):
    """Asks until the server is there to answer; the same idempotency key makes it one request."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            answer = await ask()
            if answer.status_code not in (429, 503):
                return answer
        except httpx.TransportError:
            pass
        assert asyncio.get_running_loop().time() < deadline, "the server does not come back"
        await asyncio.sleep(0.05)


async def post(client: Client, path: str, body: dict, key: str) -> httpx.Response:
    return await insist(lambda: client.request("POST", path, body, headers={"Idempotency-Key": key}))


async def talk_here(client: Client, room: str, count: int, generator: random.Random) -> list[str]:
    """What was acknowledged, in order."""
    said = []
    for number in range(count):
        content = f"{client.id} {number}"
        answer = await post(client, f"/v1/rooms/{room}/messages", {"content": content}, f"m{number}")
        assert answer.status_code == 201, answer.text
        said.append(content)
        await asyncio.sleep(generator.uniform(0, PAUSE_SECONDS_MAX))
    return said


async def talk_there(user: RemoteUser, remote: RemoteRoom, count: int, generator: random.Random) -> list[str]:
    """What the remote room took, in order. What it does not have after a break is said again, as people do."""
    said = []
    for number in range(count):
        content = f"{user.username} {number}"
        while not await heard(user, remote, content):
            pass
        said.append(content)
        await asyncio.sleep(generator.uniform(0, PAUSE_SECONDS_MAX))
    return said


async def heard(user: RemoteUser, remote: RemoteRoom, content: str, metadata: dict | None = None) -> bool:
    def is_it(message: dict) -> bool:
        return message["content"] == content and message["metadata"] == metadata

    socket = user.socket
    if not await user.say(content, metadata):
        await asyncio.sleep(0.05)
        return False
    for _ in range(200):
        if any(is_it(frame) for frame in user.frames[-300:] if frame["type"] == "message"):
            return True
        if user.socket is not socket:
            break
        await asyncio.sleep(0.01)
    # Nobody tells whether it arrived; the room's own storage does, once what was on its way has got there.
    await asyncio.sleep(0.3)
    return any(is_it(message) for message in remote.said()[-2000:])


async def call_from_here(client: Client, other: RemoteUser, room: str, key: str) -> str:
    """Invites, is offered to, answers, hangs up: as far as it goes."""
    answer = await post(client, f"/v1/rooms/{room}/calls", MEDIA, key)
    assert answer.status_code == 201, answer.text
    call = answer.json()["call"]["id"]

    def invited():
        return next((frame for frame in reversed(other.messages()) if (frame["metadata"] or {}).get("call") == call), None)

    try:
        frame = await until(invited, "the invitation", 8)
        await other.signal(frame["userId"], {"type": "offer", "sdp": OFFER})
        offer = await until(lambda: pending_offer(client, call), "the offer", 4)
        body = {"to": offer["from"], "type": "answer", "sdp": ANSWER, "offer": offer["id"]}
        await post(client, f"/v1/calls/{call}/signals", body, key + "a")
        await asyncio.sleep(0.2)
    except AssertionError:
        pass  # Something broke; the call ends all the same.
    answer = await insist(lambda: client.request("POST", f"/v1/calls/{call}/end", {}))
    assert answer.status_code == 200, answer.text
    return call


async def pending_offer(client: Client, call: str):
    try:
        events = await client.log(f"/v1/calls/{call}/events", types="signal")
    except (httpx.TransportError, AssertionError):
        return None
    return next((event["data"] for event in events if event["data"]["type"] == "offer"), None)


async def call_from_there(user: RemoteUser, remote: RemoteRoom, other: Client, room: str, key: str) -> None:
    """Says the seed's invitation; whoever is here joins, offers and leaves again: as far as it goes."""
    offers = len(user.signals())
    while not await heard(user, remote, "📞 [KLIK DI SINI] ", {"action": "join_call", "key": key}):
        pass
    try:
        call = await until(lambda: opened(other, room, key), "the call", 8)
        joined = await insist(lambda: other.request("POST", f"/v1/calls/{call}/join", {}))
        if joined.status_code != 200:
            return
        for peer in joined.json()["peers"]:
            body = {"to": peer["user"], "type": "offer", "sdp": OFFER}
            await post(other, f"/v1/calls/{call}/signals", body, key + "o")
        frame = await until(lambda: latest_offer(user, offers), "the offer", 4)
        await user.signal(frame["userId"], {"type": "answer", "sdp": ANSWER})
        await asyncio.sleep(0.2)
    except AssertionError:
        return
    await insist(lambda: other.request("POST", f"/v1/calls/{call}/leave", {}))


def latest_offer(user: RemoteUser, seen: int):
    return next((signal for signal in user.signals()[seen:] if signal["inner"].get("type") == "offer"), None)


async def opened(client: Client, room: str, key: str):
    try:
        page = await client.get(f"/v1/rooms/{room}/messages", params={"limit": 100, "q": "KLIK"})
    except (httpx.TransportError, AssertionError):
        return None
    return next((m["metadata"]["call"] for m in page["items"] if (m["metadata"] or {}).get("key") == key), None)


async def test_people_on_both_sides_lose_nothing_whatever_breaks(server_factory, tmp_path, seed):
    generator = random.Random(seed)
    server = server_factory(bridge_retry_seconds=1).start()
    remote = RemoteRoom(tmp_path / "remote", history_count=2000).start()
    try:
        async with Client.admin(server, checked=False) as admin, CuttingProxy(lambda: remote.port) as proxy:
            await run(World(server, remote, proxy, generator), admin, generator)
    finally:
        remote.discard()


async def run(world: World, admin: Client, generator: random.Random) -> None:
    server, remote = world.server, world.remote
    locals = [await Client.sign_up(server, f"sini{n}", password="kata sandi", checked=False) for n in range(PEOPLE)]
    room = (await locals[0].create_room())["id"]
    for client in locals[1:]:
        await client.join_room(room)
    await make_bridge(admin, "chaos", room, world.proxy.port)
    await is_live(admin, "chaos")
    remotes = [RemoteUser(remote.port, "kamar", f"sana{n}") for n in range(PEOPLE)]
    for user in remotes:
        await user.__aenter__()
    try:
        breaking = asyncio.create_task(world.break_things())
        each = MESSAGES // (2 * PEOPLE)
        talking = [talk_here(client, room, each, random.Random(generator.random())) for client in locals]
        talking += [talk_there(user, remote, each, random.Random(generator.random())) for user in remotes]
        said = asyncio.gather(*talking)
        calling = asyncio.create_task(calls(locals, remotes, remote, room))
        here_and_there = await said
        await calling
        world.is_over = True
        await breaking
        await is_live(admin, "chaos", 60)
        await is_drained(admin, "chaos", 120)
        await check_messages(locals, remote, room, here_and_there)
        await check_calls(locals[0], room)
        print(f"faults: {world.faults}")
    finally:
        for user in remotes:
            await user.__aexit__()
        for client in locals:
            await client.http.aclose()


async def calls(locals: list[Client], remotes: list[RemoteUser], remote: RemoteRoom, room: str) -> None:
    """One call after the other between two people, side by side with those of the others."""
    await asyncio.gather(*(
        calls_of_two(locals[lane], remotes[lane], remote, room, range(lane, CALLS, PEOPLE)) for lane in range(PEOPLE)))


async def calls_of_two(client: Client, user: RemoteUser, remote: RemoteRoom, room: str, numbers: range) -> None:
    for number in numbers:
        if (number // PEOPLE) % 2 == 0:
            await call_from_here(client, user, room, f"c{number}")
        else:
            await call_from_there(user, remote, client, room, f"c{number}")


async def check_messages(locals: list[Client], remote: RemoteRoom, room: str, said: list[list[str]]) -> None:
    there = [message["content"] for message in remote.said()]
    expected = {content for contents in said for content in contents}

    async def all_here():
        history = [message["content"] for message in await locals[0].history(room)]
        return history if expected <= set(history) else None

    here = await until(all_here, "all that was said there is here", 60)
    for where, found in (("here", here), ("there", there)):
        found = [content for content in found if not content.startswith("📞")]
        twice = sorted(content for content, count in Counter(found).items() if count > 1)
        assert not twice, f"{where}: {len(twice)} twice, first {twice[:3]}"
        missing = sorted(expected - set(found))
        assert not missing, f"{where}: {len(missing)} of {len(expected)} missing, first {missing[:3]}"
        for contents in said:
            own = set(contents)
            assert [content for content in found if content in own] == contents, f"{where}: out of order"


async def check_calls(client: Client, room: str) -> None:
    async def all_ended():
        items, query = [], {"limit": 200}
        while query:
            page = await client.get(f"/v1/rooms/{room}/calls", params=query)
            items += page["items"]
            query = {"limit": 200, "before": page["next"]} if page["next"] else None
        return items if all(call["state"] == "ended" for call in items) else None

    # Whoever is gone holds their place for 75 s; an offer that nobody answers, for 60.
    ended = await until(all_ended, "every call has ended", 200)
    assert len(ended) == CALLS
    assert all(call["endReason"] and call["endedAt"] for call in ended)
    assert len({call["id"] for call in ended}) == len(ended)
    print(f"calls: {len(ended)}, answered: {sum(call['answeredAt'] is not None for call in ended)}")
