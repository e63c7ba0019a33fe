"""What tests of calls share: people in a room, a call between two of them, and its outcome as each side sees it."""

import asyncio
from contextlib import asynccontextmanager

from .client import Client
from .server import Server

OFFER = "v=0\r\na=ice-ufrag:abcd\r\n"
ANSWER = "v=0\r\na=ice-ufrag:wxyz\r\n"
MEDIA = {"media": {"audio": True, "video": True}}


@asynccontextmanager
async def pair(server: Server):
    """Two users and the id of a room of their own."""
    async with await Client.sign_up(server, "ani") as ani, await Client.sign_up(server, "budi") as budi:
        room = (await ani.create_room())["id"]
        await budi.join_room(room)
        yield ani, budi, room


async def start(caller: Client, room: str, invite: list[Client] = (), seconds: int = 60) -> str:
    """A call's path. Without `invite` it is an open invitation."""
    body = MEDIA | ({"invite": [user.id for user in invite], "ringTimeoutSeconds": seconds} if invite else {})
    return "/v1/calls/" + (await caller.post(f"/v1/rooms/{room}/calls", body, expect=201))["call"]["id"]


async def offer(call: str, sender: Client, to: Client, expect: int = 202) -> dict:
    return await sender.post(f"{call}/signals", {"to": to.id, "type": "offer", "sdp": OFFER}, expect=expect)


async def answer(call: str, sender: Client, to: Client, offered: str, expect: int = 202) -> dict:
    body = {"to": to.id, "type": "answer", "sdp": ANSWER, "offer": offered}
    return await sender.post(f"{call}/signals", body, expect=expect)


async def active(ani: Client, budi: Client, room: str) -> str:
    """A call in which both have answered."""
    call = await start(ani, room)
    await budi.post(f"{call}/join")
    await answer(call, ani, budi, (await offer(call, budi, ani))["id"])
    return call


async def outcome(call: str, *sides: Client) -> dict:
    """The call as all sides find it, by asking and by the log; fails when they do not agree."""
    records = await asyncio.gather(*(side.get(call) for side in sides))
    assert all(record == records[0] for record in records), records
    for side in sides:
        events = [event for event in await side.log(f"{call}/events") if event["type"].startswith("call.")]
        ends = [event for event in events if event["type"] == "call.ended"]
        if records[0]["state"] == "ended":
            assert [event["data"] for event in ends] == [records[0]], "one end, and the one that is in the record"
            assert events[-1] is ends[0], "the end is the last that the room hears"
        else:
            assert ends == []
    return records[0]
