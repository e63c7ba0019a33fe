"""What streams promise beside the log itself: scopes, ends with a reason, limits, tickets, heartbeats."""

import asyncio
import json
import time

import pytest
import websockets

from lib.client import Client
from lib.event_source import EventSourceParser
from lib.inbox import Inbox
from lib.ledger import seq
from lib.server import Server, until
from lib.wires import WIRES, Connection, Follower

STREAMS = ("sse", "ndjson", "websocket")
LIMIT = 8


async def pair(server: Server) -> tuple[Client, Client, str]:
    """Two users and a room that both are in."""
    ani, budi = await Client.sign_up(server, "ani"), await Client.sign_up(server, "budi")
    room = (await ani.create_room())["id"]
    await budi.join_room(room)
    return ani, budi, room


def follower_of(client: Client, **more) -> Follower:
    return Follower(client.server.port, client.token, lambda event: None, **({"device": client.device} | more))


@pytest.mark.parametrize("wire", WIRES)
async def test_each_scope_shows_its_own_events_and_no_others(server: Server, wire: str):
    ani, budi, room = await pair(server)
    other_room = (await ani.create_room())["id"]
    start = await ani.tail()
    call = (await ani.post(f"/v1/rooms/{room}/calls", {"media": {"audio": True, "video": False}}, 201))["call"]["id"]

    def scope(path: str, **query) -> Follower:
        # The WebSocket has one path; its query does what the paths of the other wires do.
        if wire == "websocket":
            parts = path.split("/")
            query |= {"rooms": {"room": room}, "calls": {"call": call}}.get(parts[2], {})
            path = "/v1/events"
        return follower_of(ani, cursor=start, path=path, query=query, device=f"{wire}-{len(path)}", wait=1)

    async with (
        Inbox(scope("/v1/events"), wire) as everything, Inbox(scope(f"/v1/rooms/{room}/events"), wire) as of_room,
        Inbox(scope(f"/v1/calls/{call}/events"), wire) as of_call,
        Inbox(scope("/v1/events", room=other_room, types="message.*"), wire) as filtered,
    ):
        here, there = await budi.say(room, "here"), await ani.say(other_room, "there")
        await budi.post(f"/v1/calls/{call}/join", {})
        await ani.post(f"/v1/calls/{call}/end", {})
        last = await ani.say(other_room, "the end")

        def says(message: dict):
            return lambda event: event["type"] == "message.created" and event["data"]["id"] == message["id"]

        await everything.wait_for(says(last), "the last message")
        await filtered.wait_for(says(last), "the last message")
        await of_call.wait_for(lambda event: event["type"] == "call.ended", "the end of the call")
        await of_room.wait_for(lambda event: event["type"] == "call.ended", "the end of the call")
        ids = {name: [event["id"] for event in inbox.events] for name, inbox in
               {"all": everything, "room": of_room, "call": of_call, "filtered": filtered}.items()}
    assert ids["room"] == [event["id"] for event in everything.events if event.get("room") == room]
    assert ids["call"] == [event["id"] for event in everything.events if event.get("call") == call]
    assert ids["filtered"] == [event["id"] for event in everything.events if event["type"] == "message.created"
                               and event["room"] == other_room]
    texts = [event["data"]["content"] for event in filtered.events]
    assert texts == ["there", "the end"] and here["id"] != there["id"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_signal_reaches_its_addressee_only(server: Server, wire: str):
    ani, budi, room = await pair(server)
    citra = await Client.sign_up(server, "citra")
    await citra.join_room(room)
    call = (await ani.post(f"/v1/rooms/{room}/calls", {"media": {"audio": True, "video": False}}, 201))["call"]["id"]
    await budi.post(f"/v1/calls/{call}/join", {})
    second = ani.with_device("second")
    readers = {"addressee": ani, "another device": second, "sender": budi, "member": citra}
    start = await ani.tail()
    inboxes = {name: Inbox(follower_of(client, cursor=start, wait=1), wire) for name, client in readers.items()}
    for inbox in inboxes.values():
        await inbox.__aenter__()
    try:
        payload = {"to": ani.id, "type": "custom", "payload": {"secret": "for Ani"}}
        await budi.post(f"/v1/calls/{call}/signals", payload, expect=202)
        last = await budi.say(room, "the end")
        for name, inbox in inboxes.items():
            await inbox.wait_for(lambda event: event["data"].get("id") == last["id"], f"the end for the {name}")
            signals = [event["data"] for event in inbox.events if event["type"] == "signal"]
            assert [signal["payload"] for signal in signals] == ([{"secret": "for Ani"}] if name == "addressee" else [])
    finally:
        for inbox in inboxes.values():
            await inbox.__aexit__()


@pytest.mark.parametrize("wire", STREAMS)
async def test_heartbeats_advance_a_quiet_filtered_reader(server_factory, wire: str):
    server = server_factory(heartbeat_seconds=1).start()
    ani, budi, room = await pair(server)
    follower = follower_of(ani, query={"types": "call.*"})
    following = asyncio.create_task(follower.follow(wire))
    await until(lambda: follower.control, "the stream is open")
    assert follower.control[0]["data"]["heartbeatSeconds"] == 1
    await budi.say(room, "filtered out")
    tail = await ani.tail()
    await until(lambda: seq(follower.cursor) >= seq(tail), "a heartbeat carries the tail's cursor")
    following.cancel()


@pytest.mark.parametrize("wire", STREAMS)
async def test_rotation_says_so_and_nothing_is_lost_across_it(server_factory, wire: str):
    server = server_factory(stream_rotate_seconds=1).start()
    ani, budi, room = await pair(server)
    start = await ani.tail()
    sent = []
    async with Inbox(follower_of(ani, cursor=start), wire) as inbox:
        while len([event for event in inbox.follower.control if event["type"] == "stream.end"]) < 3:
            sent.append((await budi.say(room, f"number {len(sent)}"))["id"])
            await asyncio.sleep(0.01)
        await inbox.wait_for(lambda event: event["data"].get("id") == sent[-1], "the last message")
    ends = [event["data"]["reason"] for event in inbox.follower.control if event["type"] == "stream.end"]
    assert set(ends) == {"rotate"}
    assert [event["data"]["id"] for event in inbox.events if event["type"] == "message.created"] == sent


@pytest.mark.parametrize("wire", STREAMS)
async def test_signing_out_ends_the_streams_of_that_session_within_a_second(server: Server, wire: str):
    ani = await Client.sign_up(server, "ani", "a password")
    other = Client(server, await ani.post("/v1/tokens", {
        "grant": "password", "username": ani.user["username"], "password": "a password"}))
    follower, kept = follower_of(ani), follower_of(other)
    following, keeping = asyncio.create_task(follower.follow(wire)), asyncio.create_task(kept.follow(wire))
    await until(lambda: follower.control and kept.control, "the streams are open")
    await ani.delete("/v1/tokens/current")
    start = time.monotonic()
    assert await asyncio.wait_for(following, 5) == "end:revoked"
    assert time.monotonic() - start < 1.5
    assert not keeping.done(), "another session's stream was ended"
    keeping.cancel()
    assert await follower_of(ani).follow("ndjson") == "refused:401"


@pytest.mark.parametrize("wire", STREAMS)
async def test_a_removed_member_sees_that_and_nothing_after(server: Server, wire: str):
    ani, budi, room = await pair(server)
    elsewhere = (await budi.create_room())["id"]
    start = await budi.tail()
    async with Inbox(follower_of(budi, cursor=start), wire) as inbox:
        await ani.say(room, "before")
        await ani.delete(f"/v1/rooms/{room}/members/{budi.id}")
        await ani.say(room, "behind his back")
        last = await budi.say(elsewhere, "the end")
        await inbox.wait_for(lambda event: event["data"].get("id") == last["id"], "the end")
    seen = [(event["type"], event["data"].get("content")) for event in inbox.events]
    assert [entry for entry in seen if entry[0] in ("message.created", "member.left")] == [
        ("message.created", "before"), ("member.left", None), ("message.created", "the end")]
    # A later reading from the same cursor shows no more of the room either, not even what was seen.
    again = [event["data"].get("content") for event in await budi.log(after=start, types="message.*")]
    assert "behind his back" not in again


async def test_the_ninth_stream_of_a_device_is_refused_in_the_words_of_its_wire(server: Server):
    ani = await Client.sign_up(server, "ani")
    held = [follower_of(ani) for _ in range(LIMIT)]
    holding = [asyncio.create_task(follower.follow("sse")) for follower in held]
    await until(lambda: all(follower.control for follower in held), "eight streams are open")

    ninth = follower_of(ani)
    assert await ninth.follow("sse") == "end:limit", "a browser would give up at any status but 200"
    assert ninth.control[-1]["data"]["retryAfterMs"] > 0
    assert await follower_of(ani).follow("ndjson") == "refused:429"
    assert await follower_of(ani).follow("websocket") == "refused:429"
    answer = await ani.request("GET", "/v1/events/stream", headers={"Accept": "application/x-ndjson"})
    assert int(answer.headers["retry-after"]) > 0 and answer.json()["type"] == "/problems/too-many-streams"
    # Another device of the same user has places of its own; a poll is no stream.
    other = follower_of(ani, device="other")
    opening = asyncio.create_task(other.follow("sse"))
    await until(lambda: other.control, "another device's stream is open")
    assert other.control[0]["type"] == "stream.ready"
    await ani.get("/v1/events")

    holding[0].cancel()
    freed = follower_of(ani)

    async def is_open_again() -> bool:
        freed.control.clear()
        task = asyncio.create_task(freed.follow("sse"))
        await until(lambda: freed.control, "an answer")
        if freed.control[0]["type"] == "stream.ready":
            holding.append(task)
            return True
        await task
        return False

    await until(is_open_again, "the place of a stream that was closed is free")
    for task in (*holding, opening):
        task.cancel()


async def test_a_ticket_opens_once_then_resumes_only_and_replaces(server: Server):
    ani = await Client.sign_up(server, "ani")
    ticket = (await ani.post("/v1/stream-tickets", expect=201))["ticket"]
    target = f"/v1/events/stream?ticket={ticket}"

    async def open_stream(**headers: str) -> tuple[Connection, list[dict], int]:
        connection = await Connection.open(server.port)
        answer = await connection.request("GET", target, {"Accept": "text/event-stream"} | headers)
        events: list[dict] = []
        if answer.status == 200:
            reading.append(asyncio.create_task(collect(answer, events)))
            await until(lambda: events, "the stream speaks")
        return connection, events, answer.status

    async def collect(answer, events: list[dict]) -> None:
        parser = EventSourceParser()
        async for chunk in answer.chunks():
            events += [json.loads(frame.data) for frame in parser.feed(chunk)]

    reading: list[asyncio.Task] = []
    first, seen, status = await open_stream()
    assert status == 200 and seen[0]["type"] == "stream.ready" and seen[0]["data"]["user"] == ani.id
    again, _, status = await open_stream()
    assert status == 401, "a ticket that leaked opens a second stream"
    resumed, seen_again, status = await open_stream(**{"Last-Event-ID": seen[0]["id"]})
    assert status == 200 and seen_again[0]["data"]["resumed"] is True
    await until(lambda: seen[-1]["type"] == "stream.end", "the older stream ends")
    assert seen[-1]["data"]["reason"] == "replaced"
    for task in reading:
        task.cancel()
    for connection in (first, again, resumed):
        connection.close()

    # A WebSocket's ticket is spent at once.
    ticket = (await ani.post("/v1/stream-tickets", expect=201))["ticket"]
    uri = f"ws://127.0.0.1:{server.port}/v1/ws?ticket={ticket}"
    async with websockets.connect(uri, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "stream.ready"
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(f"{uri}&after={seen[0]['id']}", proxy=None)
    assert refusal.value.response.status_code == 401


async def test_a_websocket_that_is_written_to_is_closed(server: Server):
    ani = await Client.sign_up(server, "ani")
    headers = {"Authorization": f"Bearer {ani.token}"}
    uri = f"ws://127.0.0.1:{server.port}/v1/ws"
    for data in ("hello", b"\x00\x01"):
        async with websockets.connect(uri, additional_headers=headers, proxy=None) as socket:
            assert json.loads(await socket.recv())["type"] == "stream.ready"
            assert await (await socket.ping()) >= 0
            await socket.send(data)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await socket.recv()
            assert closed.value.rcvd.code == 1008


async def test_pad_and_names_are_as_asked(server: Server):
    ani = await Client.sign_up(server, "ani")
    connection = await Connection.open(server.port)
    answer = await connection.request("GET", "/v1/events/stream?pad=1&names=0", {
        "Authorization": f"Bearer {ani.token}", "Accept": "text/event-stream"})
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    text = b""
    async for chunk in answer.chunks():
        text += chunk
        if b"\n\n" in text and b"data:" in text and text.endswith(b"\n\n"):
            break
    connection.close()
    assert text.index(b"data:") >= 2048 and b"event:" not in text
    (frame,) = EventSourceParser().feed(text)
    assert frame.event == "message" and json.loads(frame.data)["type"] == "stream.ready"


async def test_typing_comes_to_those_who_listen_and_is_not_in_the_log(server: Server):
    ani, budi, room = await pair(server)
    start = await ani.tail()
    connection = await Connection.open(server.port)
    stream = await connection.request("GET", "/v1/events/stream", {
        "Authorization": f"Bearer {ani.token}", "Accept": "application/x-ndjson"})
    lines = stream.chunks()
    assert b"stream.ready" in await anext(lines)
    poll = asyncio.create_task(ani.get("/v1/events", params={"after": start, "wait": 25}))

    async def has_come() -> bool:
        # Whether the poll was waiting when it was said cannot be seen from outside: say it until it was.
        await budi.post(f"/v1/rooms/{room}/typing", expect=204)
        return poll.done()

    await until(has_come, "the poll hears of it")
    page = poll.result()
    assert page["events"] == [] and page["ephemeral"][0]["type"] == "typing"
    assert page["ephemeral"][0]["actor"] == budi.id and "id" not in page["ephemeral"][0]
    assert b'"typing"' in await anext(lines)
    connection.close()
    assert [event for event in await ani.log(after=start) if event["type"] == "typing"] == []
