"""`kill -9` under 16 writers: what was acknowledged is there once, readers go on from their cursor."""

import asyncio
import random
import secrets
import sqlite3
import time

import httpx

from conftest import SCALE
from lib.client import Client
from lib.ledger import Ledger, Sightings
from lib.server import Server, until
from lib.wires import WIRES, Follower

WRITERS = 16
KILLS = max(1, round(3 * SCALE))
ACKNOWLEDGED_BETWEEN_KILLS = (150, 600)


class Writer:
    """Posts one message after the other, each with its key, and repeats it until somebody acknowledges it."""

    def __init__(self, client: Client, room: str, ledger: Ledger):
        self.client, self.room, self.ledger = client, room, ledger
        self.stopping = False
        self.retries = 0
        self.written: list[str] = []

    async def run(self) -> None:
        while not self.stopping:
            content = f"{self.client.user['username']} {len(self.written)} {secrets.token_hex(8)}"
            self.ledger.acknowledge(await self._post(content, secrets.token_urlsafe(12)))
            self.written.append(content)

    async def _post(self, content: str, key: str) -> dict:
        while True:
            try:
                answer = await self.client.request(
                    "POST", f"/v1/rooms/{self.room}/messages", {"content": content}, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                # Nobody knows whether it happened: the same key makes asking again safe.
                self.retries += 1
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(0.02)
                continue
            assert answer.status_code == 201, answer.text
            return answer.json()


async def keep_following(follower: Follower, wire: str) -> None:
    while True:
        reason = await follower.follow(wire)
        assert reason in ("closed", "refused:503") or reason.startswith("end:"), reason
        await asyncio.sleep(0.02)


async def kill_under_load(
    server: Server, generator: random.Random, ledger: Ledger, writers: list[Writer]
) -> None:
    """Kills and restarts the server while all writers write; returns when each has had its last answer."""
    writing = [asyncio.create_task(writer.run()) for writer in writers]

    async def more(count: int) -> None:
        target = len(ledger) + count
        await until(lambda: len(ledger) >= target or any(task.done() for task in writing), "more messages", 60)

    for _ in range(KILLS):
        await more(generator.randint(*ACKNOWLEDGED_BETWEEN_KILLS))
        await server.restart_after_kill()
    await more(100)
    for writer in writers:
        writer.stopping = True
    async with asyncio.timeout(60):
        await asyncio.gather(*writing)


async def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(server: Server, seed: int):
    ledger = Ledger()
    reader = await Client.sign_up(server, "reader", "a password")
    room = (await reader.create_room())["id"]
    writers = []
    for number in range(WRITERS):
        client = await Client.sign_up(server, f"writer{number}", checked=False)
        await client.join_room(room)
        writers.append(Writer(client, room, ledger))
    start = await reader.tail()
    sightings = {wire: Sightings(f"the reader by {wire}") for wire in WIRES}
    readings = [
        asyncio.create_task(keep_following(
            Follower(server.port, reader.token, seen.see, cursor=start, device=wire, wait=1), wire))
        for wire, seen in sightings.items()
    ]

    await kill_under_load(server, random.Random(seed), ledger, writers)
    await until(
        lambda: all(len(seen.messages) >= len(ledger) for seen in sightings.values())
        or any(task.done() for task in readings), "every reader saw as many messages as were acknowledged", 30)
    for task in readings:
        task.cancel()
    ended = await asyncio.gather(*readings, return_exceptions=True)
    failures = [failure for failure in ended if not isinstance(failure, asyncio.CancelledError)]
    assert not failures, failures

    history = await reader.history(room)
    ledger.check(history, "history")
    assert sorted(message["content"] for message in history) == sorted(
        content for writer in writers for content in writer.written), "a retried message was written twice"
    ledger.check([event["data"] for event in await reader.log() if event["type"] == "message.created"], "the log")
    for seen in sightings.values():
        ledger.check(seen.messages, seen.where)
    retries = sum(writer.retries for writer in writers)
    print(f"{len(ledger)} acknowledged, {retries} posts repeated over {KILLS} kills")
    assert retries >= KILLS, "no kill met a post under way: the test shows nothing"
    for client in (reader, *(writer.client for writer in writers)):
        await client.http.aclose()


async def test_a_key_answers_the_same_after_a_kill(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        key = {"Idempotency-Key": "once"}
        first = await client.request("POST", f"/v1/rooms/{room}/messages", {"content": "once"}, headers=key)
        assert first.status_code == 201
        await server.restart_after_kill()
        again = await client.request("POST", f"/v1/rooms/{room}/messages", {"content": "once"}, headers=key)
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers.get("event-cursor") == first.headers.get("event-cursor")
        assert again.headers.get("location") == first.headers.get("location")
        other = await client.request("POST", f"/v1/rooms/{room}/messages", {"content": "another"}, headers=key)
        assert other.status_code == 422
        assert other.json()["type"].endswith("/problems/idempotency-key-reused")
        assert [message["content"] for message in await client.history(room)] == ["once"]


def test_a_first_start_killed_anywhere_is_finished_by_the_next(server_factory, seed: int):
    generator = random.Random(seed)
    for _ in range(max(5, round(10 * SCALE))):
        server = server_factory()
        for _ in range(3):
            server.spawn()
            time.sleep(generator.uniform(0, 0.12))  # Not to wait for something: the random moment of the kill.
            server.kill()
        server.start()
        admin = {"Authorization": f"Bearer {server.admin_token}"}
        assert httpx.get(f"{server.url}/v1/users/me", headers=admin).json()["role"] == "admin"
        assert httpx.get(f"{server.url}/v1/rooms/lobby", headers=admin).status_code == 200
        assert not [path.name for path in server.data.iterdir() if path.stat().st_mode & 0o077]
        server.kill()


async def test_the_database_is_whole_after_a_kill(server: Server):
    """SQLite's own opinion, from outside the server."""
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        for number in range(50):
            await client.say(room, f"words {number}")
    server.kill()
    databases = [path for path in server.data.iterdir() if path.read_bytes()[:16] == b"SQLite format 3\0"]
    assert len(databases) == 1, databases
    connection = sqlite3.connect(databases[0])
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (50,)
    finally:
        connection.close()
