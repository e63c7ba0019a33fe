"""What the last step asks for beyond `test_every_operation.py`: each operation once in each of its conflicts, and once
with its success, as people would come upon them."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from lib.calls import ANSWER, MEDIA
from lib.client import Client
from lib.operations import HERE, NOBODY, UPGRADE, Operation
from lib.server import Server, until

pytestmark = pytest.mark.anyio

UNKNOWN_EPOCH = "0000000.7"
# Far more than any list takes.
TRIES_MAX = 2000


class Scene:
    """Siti owns a room and a call in it, Budi is a member, Dewi is not; another room of Siti's was archived."""

    def __init__(self, server: Server):
        self.server = server
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> "Scene":
        enter = self._closing.enter_async_context
        self.admin = await enter(Client.admin(self.server))
        self.siti = await enter(await Client.sign_up(self.server, "siti", "rahasia sekali"))
        self.budi = await enter(await Client.sign_up(self.server, "budi"))
        self.dewi = await enter(await Client.sign_up(self.server, "dewi"))
        self.room, self.place = await self._room()
        self.archived, self.attic = await self._room()
        await self.siti.delete(f"/v1/rooms/{self.archived['id']}")
        made = await self.siti.post(f"/v1/rooms/{self.room['id']}/calls", MEDIA, expect=201)
        self.call = self.place["call"] = made["call"]["id"]
        return self

    async def __aexit__(self, *_) -> None:
        await self._closing.aclose()

    async def _room(self) -> tuple[dict, dict]:
        room = await self.siti.create_room()
        await self.budi.join_room(room["id"])
        message = await self.siti.say(room["id"], "Selamat datang")
        return room, HERE | {"room": room["id"], "message": message["id"], "user": self.budi.id}

    async def ask(self, id: str, client: Client, places: dict | None = None, **how):
        return await Operation.named(id).ask(client, places or self.place, **how)

    async def expect(self, slug: str, id: str, client: Client, places: dict | None = None, **how) -> None:
        answer = await self.ask(id, client, places, **how)
        assert answer.json()["type"] == f"/problems/{slug}", f"{id}: {answer.status_code} {answer.text[:500]}"

    async def succeed(self, id: str, client: Client, places: dict | None = None, **how) -> dict:
        answer = await self.ask(id, client, places, **how)
        assert answer.is_success, f"{id}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else {}

    async def fill(self, slug: str, id: str, client: Client, places: dict | None = None, **how) -> None:
        """Asks again and again, until that is refused."""
        for _ in range(TRIES_MAX // 8):
            answers = await asyncio.gather(*(self.ask(id, client, places, **how) for _ in range(8)))
            refused = [answer for answer in answers if not answer.is_success]
            if refused:
                assert refused[0].json()["type"] == f"/problems/{slug}", refused[0].text
                return
        raise AssertionError(f"{id} is never refused")


@pytest.fixture
async def scene(server_factory):
    server = server_factory(admin_message_search="on", webhook_networks="127.0.0.0/8", call_participants=2).start()
    async with Scene(server) as scene:
        yield scene


async def test_conflicts_of_rooms_and_calls(scene: Scene):
    siti, budi, room = scene.siti, scene.budi, scene.room
    await scene.expect("name-taken", "createRoom", siti, body={"name": room["name"]})
    other = await siti.create_room()
    await scene.expect("name-taken", "updateRoom", siti, body={"name": other["name"]})
    own = scene.place | {"user": siti.id}
    await scene.expect("last-owner", "putMember", siti, own, body={"role": "member"})
    await scene.expect("last-owner", "deleteMember", siti, own)
    for id in ("postMessage", "editMessage", "deleteMessage", "sendTyping", "createCall", "updateRoom"):
        await scene.expect("room-archived", id, siti, scene.attic)
    await scene.expect("room-archived", "openRoomSocket", scene.dewi, scene.attic)
    await scene.expect("not-joined", "sendSignal", budi, body={"to": siti.id, "type": "renegotiate"})
    await scene.expect("not-joined", "updateParticipant", budi, body={"connection": "connected"})
    await scene.expect("not-joined", "reportQuality", budi)
    await scene.expect("not-joined", "getIceServers", budi, query=f"call={scene.call}")
    await scene.expect("not-joined", "inviteToCall", budi, body={"users": [siti.id]})
    await scene.expect("illegal-move", "rejectCall", siti)
    for id in ("joinCall", "leaveCall"):
        await scene.expect("joined-elsewhere", id, siti, headers={"Comblang-Device": "tab-2"})
    await scene.succeed("joinCall", budi)
    answer = {"to": siti.id, "type": "answer", "offer": f"sig_{NOBODY}", "sdp": ANSWER}
    await scene.expect("stale-offer", "sendSignal", budi, body=answer)
    await scene.dewi.join_room(room["id"])
    await scene.expect("call-full", "joinCall", scene.dewi)
    for id in ("pollEvents", "pollRoomEvents", "pollCallEvents"):
        await scene.expect("cursor-expired", id, siti, query=f"after={UNKNOWN_EPOCH}")


async def test_conflicts_of_people_and_admins(scene: Scene):
    siti, admin = scene.siti, scene.admin
    own = scene.place | {"user": "me"}
    await scene.expect("name-taken", "createUser", admin, body={"username": siti.user["username"]})
    await scene.expect("last-admin", "deleteUser", admin, own)
    await scene.expect("last-admin", "changeUserRights", admin, own, body={"suspended": True})
    key = {"name": "bot", "scopes": ["messages:write"]}
    await scene.fill("limit-reached", "createApiKey", siti, own, body=key)
    await scene.fill("limit-reached", "createInvite", admin, body={})
    bridge = {"name": "jauh", "room": scene.room["id"], "url": "ws://127.0.0.1:1/"}
    await scene.succeed("createBridge", admin, body=bridge)
    await scene.expect("name-taken", "createBridge", admin, body=bridge)
    await scene.fill("backup-running", "createBackup", admin)
    webhook = {"url": "http://127.0.0.1:1/", "types": ["room.archived"]}
    made = await scene.succeed("createWebhook", admin, body=webhook)
    await scene.expect(
        "cursor-expired", "redeliverWebhook", admin, scene.place | {"webhook": made["id"]}, body={"after": UNKNOWN_EPOCH})
    await scene.fill("limit-reached", "createWebhook", admin, body=webhook)


async def test_who_may_not_come_in_is_403(scene: Scene, server_factory):
    username = scene.siti.user["username"]
    await scene.succeed("changeUserRights", scene.admin, scene.place | {"user": f"@{username}"}, body={"suspended": True})
    password = {"grant": "password", "username": username, "password": "rahasia sekali"}
    async with Client(scene.server) as stranger:
        await scene.expect("account-suspended", "createTokens", stranger, body=password)
    for registration, slug in (("closed", "registration-closed"), ("invite", "invite-required")):
        async with Client(server_factory(registration=registration).start()) as stranger:
            await scene.expect(slug, "createUser", stranger, body={"username": "eka"})


async def test_it_is_unready_while_it_drains(server_factory):
    server: Server = server_factory(drain_seconds=5).start()
    async with await Client.sign_up(server) as client, AsyncExitStack() as streams:
        # Streams end one after the other, and so long it answers.
        for _ in range(8):
            stream = client.http.stream("GET", "/v1/events/stream", headers=client.headers())
            assert (await streams.enter_async_context(stream)).status_code == 200
        server.terminate()

        async def is_unready() -> bool:
            answer = await client.request("GET", "/readyz")
            return answer.status_code == 503 and answer.json()["type"] == "/problems/unavailable"

        await until(is_unready, "it says so")


async def test_a_socket_needs_an_upgrade(scene: Scene):
    for path in ("/v1/ws", f"/ws/{scene.room['id']}"):
        answer = await scene.siti.request("GET", path)
        assert answer.status_code == 426 and answer.json()["type"] == "/problems/upgrade-required"


async def test_every_room_and_message_operation_succeeds(scene: Scene):
    siti, own = scene.siti, scene.place | {"user": "me"}
    for id, how in {
        "listUsers": {}, "getUser": {}, "createStreamTicket": {}, "createRoom": {"body": {"title": "Lagi"}},
        "listRooms": {}, "getRoom": {}, "updateRoom": {}, "listMembers": {}, "postMessage": {}, "listMessages": {},
        "getMessage": {}, "editMessage": {}, "sendTyping": {}, "markRead": {"body": {"message": scene.place["message"]}},
        "putMember": {"body": {"role": "moderator"}}, "pollEvents": {"query": "after=earliest"}, "deleteMember": {},
        "deleteMessage": {}, "pollRoomEvents": {"query": "after=earliest"},
    }.items():
        await scene.succeed(id, siti, **how)
    await scene.succeed("putMember", siti, body={"role": "member"})
    await scene.succeed("updateUser", siti, own)
    key = await scene.succeed("createApiKey", siti, own)
    await scene.succeed("listApiKeys", siti, own)
    await scene.succeed("deleteApiKey", siti, own | {"key": key["id"]})
    async with Client(scene.server) as stranger:
        made = await scene.succeed("createUser", stranger, body={"username": f"eka-{NOBODY[:4]}"})
        refresh = {"grant": "refresh", "refreshToken": made["refreshToken"]}
        tokens = await scene.succeed("createTokens", stranger, body=refresh)
    async with Client(scene.server, tokens) as eka:
        await scene.succeed("revokeTokens", eka)
    await scene.succeed("deleteUser", scene.dewi, own)
    await scene.succeed("archiveRoom", siti)


async def test_every_call_operation_succeeds(scene: Scene):
    siti, budi = scene.siti, scene.budi
    call = {"query": f"call={scene.call}"}
    for client, id, how in [
        (budi, "joinCall", {}), (siti, "inviteToCall", {"body": {"users": [budi.id]}}),
        (budi, "sendSignal", {"body": {"to": siti.id, "type": "custom", "payload": {"hand": "raised"}}}),
        (budi, "updateParticipant", {}), (budi, "reportQuality", {}), (budi, "getIceServers", call),
        (budi, "getCall", {}), (budi, "listCalls", {}), (budi, "pollCallEvents", {"query": "after=earliest"}),
        (budi, "leaveCall", {"body": {}}), (siti, "endCall", {"body": {}}), (siti, "listOwnCalls", {}),
        (siti, "markCallsSeen", {}), (siti, "pollEvents", {"query": "after=earliest"}),
    ]:
        await scene.succeed(id, client, **how)
    rung = await scene.succeed("createCall", siti, body=MEDIA | {"invite": [budi.id]})
    await scene.succeed("rejectCall", budi, scene.place | {"call": rung["call"]["id"]})


async def test_every_stream_opens(scene: Scene):
    for id in ("streamEvents", "streamRoomEvents", "streamCallEvents", "openWebSocket", "openRoomSocket"):
        operation = Operation.named(id)
        path = operation.template.format(**scene.place) if "{" in operation.template else operation.template
        headers = scene.siti.headers(UPGRADE if operation.is_socket else {})
        async with scene.siti.http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == (101 if operation.is_socket else 200), f"{id}: {answer.status_code}"
            if not operation.is_socket:
                assert "stream.ready" in await anext(answer.aiter_text())


async def test_every_admin_operation_succeeds(scene: Scene):
    admin = scene.admin
    place = scene.place | {
        "backup": (await scene.succeed("createBackup", admin))["id"],
        "invite": (await scene.succeed("createInvite", admin))["id"],
        "bridge": (await scene.succeed(
            "createBridge", admin, body={"name": "jauh", "room": scene.room["id"], "url": "ws://127.0.0.1:1/"}))["name"],
    }
    made = await scene.succeed("createWebhook", admin, body={"url": "http://127.0.0.1:1/", "types": ["room.archived"]})
    place["webhook"] = made["id"]
    async with scene.siti.http.stream("GET", "/v1/events/stream", headers=scene.siti.headers()) as stream:
        assert stream.status_code == 200

        async def connections() -> list[dict]:
            return (await scene.succeed("listConnections", admin))["items"]

        (connection, *_) = await until(connections, "the stream is seen")
        await scene.succeed("cutConnection", admin, place | {"connection": connection["id"]})
    for id in (
        "listAllUsers", "changeUserRights", "listAllRooms", "listAudit", "listBackups", "getBackup", "listAllCalls",
        "getCallRecord", "exportCalls", "getCallStatistics", "listBridges", "getBridge", "pauseBridge", "deleteBridge",
        "listInvites", "deleteInvite", "listWebhooks", "getWebhook", "updateWebhook", "rotateWebhookSecret",
        "listWebhookAttempts",
    ):
        await scene.succeed(id, admin, place, body={"suspended": False} if id == "changeUserRights" else None)
    await scene.succeed("searchMessages", admin, query="q=Selamat")
    await scene.succeed("redeliverWebhook", admin, place, body={"after": made["cursor"]})
    await scene.succeed("deleteWebhook", admin, place)


async def test_every_page_is_there_and_is_not_sent_twice(scene: Scene):
    places = scene.place | {"slug": "glare", "file": "comblang.js"}
    async with Client(scene.server) as stranger:
        for id in ("getHealth", "getReadiness", "getMetrics", "getContractYAML", "getContractJSON", "getProblem", "listProblems"):
            await scene.succeed(id, stranger, places)
        for id in ("getWebClient", "getClientFile", "getDocs", "getIcon"):
            answer = await scene.ask(id, stranger, places)
            assert answer.status_code == 200
            again = await scene.ask(id, stranger, places, headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304 and not again.content
