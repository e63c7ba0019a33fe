"""Every creating POST, three times at once with one `Idempotency-Key`: one effect and three equal answers."""

import asyncio
import contextlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Awaitable, Callable

import httpx
import pytest

from lib.calls import MEDIA, OFFER, start
from lib.client import Client
from lib.contract import Contract
from lib.server import Server

pytestmark = pytest.mark.anyio


@dataclass
class Creation:
    """A request, what it makes as somebody finds it (a count), and a body that means something else."""

    asker: Client
    path: str
    body: dict | None
    count: Callable[[], Awaitable[int]]
    other_body: dict | None = None
    expect: int = 201


class Scene:
    """Siti and Budi in a room, and an admin."""

    def __init__(self, admin: Client, siti: Client, budi: Client):
        self.admin, self.siti, self.budi = admin, siti, budi

    async def logged(self, reader: Client, path: str, kind: str) -> int:
        return sum(event["type"] == kind for event in await reader.log(path))

    async def listed(self, path: str) -> int:
        return len((await self.admin.get(path))["items"])

    async def room(self) -> str:
        room = (await self.siti.create_room())["id"]
        await self.budi.join_room(room)
        return room

    async def createRoom(self) -> Creation:
        return Creation(
            self.siti, "/v1/rooms", {"title": "Sekali"}, lambda: self.logged(self.siti, "/v1/events", "room.created"),
            {"title": "Lain"})

    async def postMessage(self) -> Creation:
        room = f"/v1/rooms/{await self.room()}"
        return Creation(
            self.siti, f"{room}/messages", {"content": "sekali"},
            lambda: self.logged(self.budi, f"{room}/events", "message.created"), {"content": "lain"})

    async def createCall(self) -> Creation:
        room = f"/v1/rooms/{await self.room()}"
        return Creation(
            self.siti, f"{room}/calls", MEDIA | {"invite": [self.budi.id]},
            lambda: self.logged(self.budi, f"{room}/events", "call.created"), MEDIA)

    async def joinCall(self) -> Creation:
        call = await start(self.siti, await self.room())

        async def legs() -> int:
            return sum(
                event["type"] == "call.participant" and event["data"]["user"] == self.budi.id
                for event in await self.siti.log(f"{call}/events"))

        return Creation(self.budi, f"{call}/join", MEDIA, legs, {"media": {"audio": True, "video": False}}, expect=200)

    async def inviteToCall(self) -> Creation:
        call = await start(self.siti, await self.room())
        return Creation(
            self.siti, f"{call}/invite", {"users": [self.budi.id]},
            lambda: self.logged(self.budi, f"{call}/events", "call.ringing"), {"users": [self.admin.id]}, expect=200)

    async def sendSignal(self) -> Creation:
        call = await start(self.siti, await self.room())
        await self.budi.post(f"{call}/join")
        body = {"to": self.siti.id, "type": "offer", "sdp": OFFER}
        return Creation(
            self.budi, f"{call}/signals", body, lambda: self.logged(self.siti, f"{call}/events", "signal"),
            body | {"sdp": OFFER + "a=setup:actpass\r\n"}, expect=202)

    async def createBackup(self) -> Creation:
        return Creation(self.admin, "/v1/admin/backups", None, lambda: self.listed("/v1/admin/backups"))

    async def createBridge(self) -> Creation:
        # Nothing listens there: whether it is reached is told by its state.
        room = (await self.siti.create_room())["id"]
        body = {"name": f"b-{secrets.token_hex(3)}", "room": room, "url": "ws://127.0.0.1:9/{room}?u={username}"}
        return Creation(
            self.admin, "/v1/admin/bridges", body, lambda: self.listed("/v1/admin/bridges"), body | {"name": "lain"})

    async def createWebhook(self) -> Creation:
        body = {"url": "https://example.org/hook"}
        return Creation(
            self.admin, "/v1/webhooks", body, lambda: self.listed("/v1/webhooks"), {"url": "https://example.org/lain"})

    async def rotateWebhookSecret(self) -> Creation:
        made = await self.admin.post("/v1/webhooks", {"url": "https://example.org/hook"}, expect=201)

        async def rotations() -> int:
            items = (await self.admin.get("/v1/admin/audit", params={"limit": 200}))["items"]
            return sum(item["resource"] == made["id"] and item["action"] == "webhooks.change" for item in items)

        return Creation(self.admin, f"/v1/webhooks/{made['id']}/secret", None, rotations, expect=200)


def operations() -> set[str]:
    """Those that take the header."""
    return {
        operation["operationId"]
        for item in Contract.shared().document["paths"].values() for method, operation in item.items()
        if method != "parameters"
        and {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])
    }


def told(answer: httpx.Response) -> tuple:
    return answer.status_code, answer.text, [answer.headers.get(name) for name in ("location", "event-cursor")]


@pytest.fixture
async def scene(server_factory):
    server = server_factory(webhook_private_addresses="true", bridge_private_addresses="true").start()
    async with (
        Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti,
        await Client.sign_up(server, "budi") as budi,
    ):
        admin.user = await admin.get("/v1/users/me")
        yield Scene(admin, siti, budi)


@pytest.mark.parametrize("operation", sorted(operations()))
async def test_three_at_once_are_one(scene: Scene, operation: str):
    made = await getattr(scene, operation)()
    before = await made.count()
    key = {"Idempotency-Key": f"once-{operation}"}

    async def ask(body: dict | None, headers: dict = key) -> httpx.Response:
        return await made.asker.request("POST", made.path, body, headers=headers)

    answers = await asyncio.gather(*(ask(made.body) for _ in range(3)))
    assert answers[0].status_code == made.expect, answers[0].text
    assert len({str(told(answer)) for answer in answers}) == 1, [told(answer) for answer in answers]
    assert await made.count() == before + 1

    # So it is after a crash, too; and the key stands for this request only.
    await scene.admin.server.restart_after_kill()
    assert told(await ask(made.body)) == told(answers[0])
    if made.other_body is not None:
        other = await ask(made.other_body)
        assert other.status_code == 422 and other.json()["type"] == "/problems/idempotency-key-reused", other.text
    assert await made.count() == before + 1


async def test_keys_are_each_users_and_each_paths_own(scene: Scene):
    key = {"Idempotency-Key": "the-same"}
    rooms = [await scene.room(), await scene.room()]
    ids = {
        (await user.post(f"/v1/rooms/{room}/messages", {"content": "x"}, expect=201, headers=key))["id"]
        for user in (scene.siti, scene.budi) for room in rooms
    }
    assert len(ids) == 4


async def test_a_refused_request_may_be_put_right_under_its_key(scene: Scene):
    room, key = await scene.room(), {"Idempotency-Key": "again"}
    path = f"/v1/rooms/{room}/messages"
    answers = await asyncio.gather(
        *(scene.siti.request("POST", path, {"content": ""}, headers=key) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [422] * 3
    await scene.siti.post(path, {"content": "x"}, expect=201, headers=key)


async def test_what_is_kept_tells_nothing_without_its_key(scene: Scene):
    room, secret, key = await scene.room(), secrets.token_hex(8), {"Idempotency-Key": secrets.token_hex(8)}
    path = f"/v1/rooms/{room}/messages"
    edited, deleted = [
        (await scene.siti.post(path, {"content": f"{secret} {n}"}, expect=201, headers={"Idempotency-Key": f"{secret}{n}"}))
        for n in range(2)
    ]
    await scene.siti.patch(f"{path}/{edited['id']}", {"content": "harmless"})
    await scene.siti.delete(f"{path}/{deleted['id']}")
    call = await scene.siti.post(f"/v1/rooms/{room}/calls", MEDIA, expect=201, headers=key)
    await scene.admin.ask("POST", "/v1/admin/backups", {}, expect=201, headers=key)

    # The same request shows what there is now.
    for message, n in ((edited, 0), (deleted, 1)):
        again = await scene.siti.post(
            path, {"content": f"{secret} {n}"}, expect=201, headers={"Idempotency-Key": f"{secret}{n}"})
        assert again == await scene.siti.get(f"{path}/{message['id']}")
        assert secret not in str(again)

    # Nor does the database have it in any table.
    database = sqlite3.connect(f"file:{scene.admin.server.data}/comblang.sqlite?mode=ro", uri=True)
    with contextlib.closing(database):
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [
            str(row) for table in tables if not table.startswith("messageFts")
            for row in database.execute(f'SELECT * FROM "{table}"')
        ]
        assert any("harmless" in row for row in rows)
        assert database.execute("SELECT count(*) FROM idempotentAnswer").fetchone()[0] >= 4
    for text in (secret, call["leaveToken"], key["Idempotency-Key"]):
        assert [row[:200] for row in rows if text in row] == []


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
async def test_a_key_of_another_shape_is_refused(scene: Scene, key: str):
    headers = {"Idempotency-Key": key.encode()}
    answer = await scene.siti.request("POST", f"/v1/rooms/{await scene.room()}/messages", {"content": "x"}, headers=headers)
    assert answer.status_code == 422 and "Idempotency-Key" in answer.text
