"""The requests that are answered on their event loop, without the router: the same answers, in the same order."""

import asyncio
import json
import random
import socket
import uuid

import pytest

from conftest import SCALE
from lib.client import Client
from lib.server import Server, until
from lib.wires import Answer, Connection

# The router alone takes requests that say so.
ROUTED = {"Connection": "close"}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


def written(client: Client, method: str, target: str, body: dict | str | None = None, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    data = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {client.token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if data:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def exchanged(connection: Connection, request: bytes) -> tuple[Answer, dict]:
    await connection.send(request)
    answer = await connection.answer()
    return answer, json.loads(await answer.body() or b"{}")


@pytest.mark.parametrize("round_number", range(max(1, round(10 * SCALE))))
async def test_pipelined_requests_are_answered_in_their_order(server: Server, seed: int, round_number: int):
    generator = random.Random(seed)
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        path = f"/v1/rooms/{room}/messages"
        cursor = await client.tail()
        connection = await Connection.open(server.port)
        said, stream, expected = 0, b"", []
        for number in range(60):
            kind = generator.choice(("say", "say", "list", "poll", "bad", "unknown", "twice"))
            if kind == "say":
                stream += written(client, "POST", path, {"content": f"number {said}"})
                expected.append((201, f"number {said}"))
                said += 1
            elif kind == "twice":  # Both are answered alike, and it is said once.
                key = str(uuid.UUID(int=generator.getrandbits(128)))
                for _ in range(2):
                    stream += written(client, "POST", path, {"content": f"number {said}"}, Idempotency_Key=key)
                    expected.append((201, f"number {said}"))
                said += 1
            elif kind == "list":
                stream += written(client, "GET", f"{path}?limit=200")
                expected.append((200, said))
            elif kind == "poll":
                stream += written(client, "GET", f"/v1/rooms/{room}/events?types=message.*&wait=0&limit=1000&after={cursor}")
                expected.append((200, said))
            elif kind == "bad":
                stream += written(client, "POST", path, generator.choice(('{"content":', '{"content":""}', "[]", '{"content":7}')))
                expected.append((None, None))
            else:
                stream += written(client, "POST", f"/v1/rooms/{room}x/messages", {"content": "nowhere"})
                expected.append((404, None))
        sending = asyncio.create_task(send_in_pieces(connection, stream, generator))
        for status, what in expected:
            answer = await connection.answer()
            body = json.loads(await answer.body())
            assert answer.status == status or (status is None and answer.status in (400, 422)), (answer.status, body)
            if status == 201:
                assert body["content"] == what
            elif status == 200:
                assert len(body.get("items", body.get("events"))) == what
        await sending
        connection.close()
        assert [message["content"] for message in await client.history(room)] == [f"number {n}" for n in range(said)]


async def send_in_pieces(connection: Connection, data: bytes, generator: random.Random) -> None:
    """Cuts a request anywhere, in its head and in its body."""
    while data:
        size = int(2 ** generator.uniform(0, 13))
        await connection.send(data[:size])
        data = data[size:]
        await asyncio.sleep(0)


@pytest.mark.parametrize("lane", [{}, ROUTED], ids=["express", "router"])
async def test_both_lanes_stream_what_is_rather_accepted(server: Server, lane: dict):
    sse, lines = "text/event-stream", "application/x-ndjson"
    async with await Client.sign_up(server) as client:
        for accept, kind in {
            lines: lines, lines.upper(): lines, f"{sse};q=0.1, {lines};q=0.9": lines, f"{lines};q=0, {sse}": sse,
            f"{sse}, {lines};q=0": sse, f"{sse}, {lines}": sse, "*/*": sse, "application/json": sse,
        }.items():
            connection = await Connection.open(server.port)
            await connection.send(written(client, "GET", "/v1/events/stream", Accept=accept, **lane))
            answer = await connection.answer()
            assert answer.status == 200 and answer.headers["content-type"].split(";")[0] == kind, accept
            connection.close()


@pytest.mark.parametrize("origin", [None, "https://example.org"])
async def test_both_lanes_answer_alike(server: Server, origin: str | None):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        cursor = await client.tail()
        more = {"Origin": origin} if origin else {}
        requests = {
            "post": ("POST", f"/v1/rooms/{room}/messages", {"content": "hello", "metadata": {"a": [1, None]}}),
            "poll": ("GET", f"/v1/events?types=message.*&wait=1&after={cursor}", None),
            "stream": ("GET", f"/v1/rooms/{room}/events/stream?pad=1", None),
        }
        for kind, (method, target, body) in requests.items():
            heads, bodies = [], []
            for lane in ({}, ROUTED):
                connection = await Connection.open(server.port)
                repeats = 3 if kind == "poll" and not lane else 1  # The third is one that the connection knows.
                for _ in range(repeats):
                    await connection.send(written(client, method, target, body, **more, **lane))
                    answer = await connection.answer()
                    if kind == "stream":
                        data, chunks = b"", answer.chunks()
                        while b"stream.ready" not in data:
                            data += await anext(chunks)
                        bodies.append(data[:2048])
                    else:
                        bodies.append(json.loads(await answer.body()))
                connection.close()
                heads.append({name: value for name, value in answer.headers.items() if name != "connection"})
            assert heads[0].keys() == heads[1].keys(), kind
            same = heads[0].keys() - {"date", "x-request-id", "event-cursor", "location", "content-length"}
            assert all(heads[0][name] == heads[1][name] for name in same), (kind, heads)
            if kind == "post":
                assert bodies[0].keys() == bodies[1].keys() and bodies[0]["metadata"] == bodies[1]["metadata"]
            else:
                assert all(body == bodies[0] for body in bodies), bodies


async def test_a_repeated_poll_follows_what_changed_since(server: Server):
    async with await Client.sign_up(server, "owner") as owner, await Client.sign_up(server, "reader") as reader:
        room = (await owner.create_room("private"))["id"]
        member = f"/v1/rooms/{room}/members/{reader.id}"
        await owner.request("PUT", member, {})
        cursor = await reader.tail()
        # As the poll goes on over one connection, so does the reader that the server kept with it.
        connection = await Connection.open(server.port)

        async def poll(after: str, wait: int = 0, path: str = f"/v1/rooms/{room}/events") -> tuple[int, dict]:
            answer, page = await exchanged(
                connection, written(reader, "GET", f"{path}?wait={wait}&types=message.*,member.*&after={after}"))
            return answer.status, page

        def contents(page: dict) -> list[str]:
            return [event["data"].get("content", event["type"]) for event in page["events"]]

        first = cursor
        for number in range(5):
            await owner.say(room, f"number {number}")
            status, page = await poll(cursor)
            assert status == 200 and contents(page) == [f"number {number}"]
            cursor = page["cursor"]
        # Reading consumes nothing: an older cursor brings all of it again.
        assert contents((await poll(first))[1]) == [f"number {number}" for number in range(5)]
        # Waiting is answered by what comes.
        waiting = asyncio.create_task(poll(cursor, wait=25))
        await owner.say(room, "awaited")
        status, page = await waiting
        assert contents(page) in ([], ["awaited"]) or page["events"]
        cursor = page["cursor"]
        # Out of the room, the room is gone; back in it, only what is said from then on is seen.
        await owner.request("DELETE", member)
        assert (await poll(cursor))[0] == 404
        await owner.say(room, "behind their back")
        await owner.request("PUT", member, {})
        await owner.say(room, "welcome back")
        status, page = await poll(cursor)
        assert status == 200 and contents(page)[-1] == "welcome back" and "behind their back" not in contents(page)
        # What the log cannot continue is said.
        assert (await poll(f"zzzz.{cursor.split('.')[1]}"))[0] == 410
        epoch, place = page["cursor"].split(".")
        assert (await poll(f"{epoch}.{int(place) + 10_000}"))[0] == 410
        assert (await poll("nonsense"))[0] == 400
        assert (await poll(page["cursor"]))[0] == 200
        await reader.delete("/v1/tokens/current")
        assert (await poll(page["cursor"]))[0] == 401
        connection.close()


async def test_a_poll_that_waits_on_a_known_connection_ends_in_its_time(server: Server):
    async with await Client.sign_up(server) as client:
        cursor = await client.tail()
        connection = await Connection.open(server.port)
        started = asyncio.get_running_loop().time()
        for _ in range(3):
            answer, page = await exchanged(connection, written(client, "GET", f"/v1/events?types=signal&wait=1&after={cursor}"))
            assert answer.status == 200 and page["events"] == []
        assert 2.9 < asyncio.get_running_loop().time() - started < 20
        # A client that goes away while it waits leaves its place.
        for _ in range(12):
            other = await Connection.open(server.port)
            for _ in range(2):
                await exchanged(other, written(client, "GET", f"/v1/events?types=signal&wait=0&after={cursor}"))
            await other.send(written(client, "GET", f"/v1/events?types=signal&wait=60&after={cursor}"))
            other.close()
        async with asyncio.timeout(20):
            while (await exchanged(connection, written(client, "GET", f"/v1/events?types=signal&wait=1&after={cursor}")))[0].status != 200:
                pass
        connection.close()


async def test_a_connection_carries_streams_and_requests_in_turn(server_factory):
    server = server_factory(stream_rotate_seconds=1).start()
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        connection = await Connection.open(server.port)
        for number in range(3):
            answer, message = await exchanged(
                connection, written(client, "POST", f"/v1/rooms/{room}/messages", {"content": f"number {number}"}))
            assert answer.status == 201 and message["content"] == f"number {number}"
            await connection.send(written(client, "GET", f"/v1/rooms/{room}/events/stream?format=ndjson&types=message.*&after=earliest"))
            answer = await connection.answer()
            lines = b"".join([chunk async for chunk in answer.chunks()]).splitlines()
            types = [json.loads(line)["type"] for line in lines]
            assert types[0] == "stream.ready" and types[-1] == "stream.end", types
            assert types.count("message.created") == number + 1
        connection.close()


async def test_clients_that_reset_their_connection_while_they_are_admitted_leave_nothing(server: Server, seed: int):
    generator = random.Random(seed)
    async with Client.admin(server) as admin, await Client.sign_up(server) as client:
        poll = f"/v1/events?after={await client.tail()}&wait=30"
        targets = ("/v1/events/stream", poll)
        requests = [written(client, "GET", target, **fields) for target in targets for fields in ({}, ROUTED)]
        room = (await client.create_room())["id"]
        requests += [written(client, "GET", target, **UPGRADE) for target in ("/v1/ws", f"/ws/{room}")]
        for number in range(round(400 * SCALE)):
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.sendall(generator.choice(requests))
                # About as long as an admission takes, or shorter, or longer.
                await asyncio.sleep(generator.random() * 0.003)

        async def are_gone() -> bool:
            open_ones = (await admin.get("/v1/admin/connections", params={"user": client.id}))["items"]
            return not open_ones

        await until(are_gone, "no reader is left behind")
