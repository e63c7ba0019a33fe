"""What every operation of the contract refuses before it looks at what was asked for, and what is not there: strangers,
keys that reach elsewhere, what cannot be read, who asks too often, and all of them while the disk refuses."""

import json

import pytest

from lib.client import Client
from lib.contract import Contract
from lib.operations import HERE, NOWHERE, Operation
from lib.server import Server, until
from lib.storage_fault import refusing_storage

pytestmark = pytest.mark.anyio

BODY_BYTES_MAX = 256 * 1024


class People:
    """Siti, who has a password, an admin, and somebody without a name."""

    @classmethod
    async def of(cls, server: Server) -> "People":
        self = cls()
        self.admin, self.stranger = Client.admin(server), Client(server)
        made = await self.admin.post(
            "/v1/users", {"username": "siti", "password": "rahasia sekali"}, expect=201)
        self.siti = Client(server, made)
        return self

    async def __aenter__(self) -> "People":
        return self

    async def __aexit__(self, *_) -> None:
        for client in (self.admin, self.stranger, self.siti):
            await client.http.aclose()

    def insider(self, operation: Operation) -> Client:
        """Who may ask for it."""
        return self.stranger if operation.is_open else self.admin if operation.is_for_admins else self.siti


async def expect(operation: Operation, client: Client, status: int, slug: str | None = None, **how):
    answer = await operation.ask(client, **how)
    assert answer.status_code == status, f"{operation}: {answer.status_code}, not {status}: {answer.text[:500]}"
    if slug is not None:
        assert answer.json()["type"] == f"/problems/{slug}", f"{operation}: {answer.text}"
    return answer


async def test_strangers_get_401(server: Server):
    async with Client(server) as stranger:
        for operation in Operation.refusing("unauthorized"):
            if operation.id != "createTokens":
                await expect(operation, stranger, 401, "unauthorized", body={} if operation.has_body else None)
        wrong = {"grant": "password", "username": "siti", "password": "salah sekali"}
        await expect(Operation.named("createTokens"), stranger, 401, "unauthorized", body=wrong)


async def test_keys_without_the_scope_get_403(server: Server):
    scopes = Contract.shared().document["components"]["schemas"]["Scope"]["enum"]
    keys: dict[tuple, Client] = {}
    async with Client.admin(server) as admin:
        for operation in Operation.refusing("insufficient-scope"):
            others = tuple(scope for scope in scopes if scope not in operation.scopes)
            if others not in keys:
                body = {"name": "elsewhere", "scopes": list(others)}
                made = await admin.post("/v1/users/me/api-keys", body, expect=201)
                keys[others] = Client(server, {"accessToken": made["key"]})
            await expect(operation, keys[others], 403, "insufficient-scope")
    for client in keys.values():
        await client.http.aclose()


async def test_what_cannot_be_read_is_400(server: Server):
    async with await People.of(server) as people:
        for operation in Operation.all():
            if "400" not in operation.statuses:
                continue
            if operation.has_body:
                for body in (b"{", b"[]", b"\xff"):
                    await expect(
                        operation, people.insider(operation), 400, "invalid-json", content=body,
                        headers={"Content-Type": "application/json"})
            else:
                await expect(operation, people.insider(operation), 400, query="x=%zz")


async def test_a_cursor_that_is_none_is_400(server: Server):
    async with await People.of(server) as people:
        call = await people.siti.post(
            f"/v1/rooms/{(await people.siti.create_room())['id']}/calls", {"media": {"audio": True, "video": False}}, 201)
        places = HERE | {"call": call["call"]["id"]}
        await people.siti.join_room("lobby")
        for operation in Operation.refusing("invalid-cursor"):
            body = {"after": "yesterday"} if operation.has_body else None
            await expect(
                operation, people.insider(operation), 400, "invalid-cursor", places=places, query="after=yesterday",
                body=body)


async def test_bodies_that_are_too_large_or_of_another_type_are_refused(server: Server):
    async with await People.of(server) as people:
        large = json.dumps({"x": "x" * BODY_BYTES_MAX}).encode()
        for operation in Operation.refusing("unsupported-media-type"):
            client = people.insider(operation)
            await expect(operation, client, 415, content=b"a,b", headers={"Content-Type": "text/csv"})
            await expect(operation, client, 413, content=large, headers={"Content-Type": "application/json"})


async def test_what_is_out_of_its_range_is_422_with_the_field(server: Server):
    async with await People.of(server) as people:
        for operation in Operation.refusing("validation-failed"):
            client = people.insider(operation)
            if operation.is_open:
                answer = await expect(operation, client, 422, body={"username": "A", "grant": "none"})
            else:
                answer = await expect(operation, client, 422, headers={"Comblang-Device": "a b"})
            assert answer.json()["errors"][0]["field"]


async def test_what_is_not_there_is_404(server: Server):
    async with await People.of(server) as people:
        for operation in Operation.all():
            if "404" not in operation.statuses:
                continue
            # Nothing in the path of these: a parameter names what is not there, or a field.
            query = {
                "pollEvents": "room=nowhere", "streamEvents": "room=nowhere", "openWebSocket": f"call={NOWHERE['call']}",
                "getIceServers": f"call={NOWHERE['call']}",
            }.get(operation.id, "")
            body = {
                "createWebhook": {"url": "https://example.org/", "room": NOWHERE["room"]},
                "markRead": {"message": NOWHERE["message"]},
            }.get(operation.id)
            await expect(operation, people.insider(operation), 404, "not-found", places=NOWHERE, query=query, body=body)


async def test_who_asks_too_often_gets_429(server_factory):
    rates = ("reads", "writes", "messages", "signals", "events", "sign_ups", "anonymous", "passwords")
    server = server_factory(rate_limits="true", **{f"rate_{name}": "1/3600" for name in rates}).start()
    async with await People.of(server) as people:
        for operation in Operation.refusing("rate-limited"):
            body = {
                "createUser": {"username": "budi"},
                "createTokens": {"grant": "password", "username": "siti", "password": "salah sekali"},
            }.get(operation.id)
            statuses = []
            while 429 not in statuses and len(statuses) < 12:
                answer = await operation.ask(people.insider(operation), body=body)
                statuses.append(answer.status_code)
            assert statuses[-1] == 429, f"{operation}: {statuses}"
            assert int(answer.headers["retry-after"]) >= 1 and "r=0" in answer.headers["ratelimit"]


async def test_while_the_disk_refuses_everything_is_503_and_nothing_is_lost(server_factory):
    server: Server = server_factory(admin_message_search="on").start()
    async with await People.of(server) as people:
        siti = people.siti
        room = (await siti.create_room())["id"]
        said = await siti.say(room, "before")
        async with siti.http.stream("GET", "/v1/events/stream", headers=siti.headers()) as stream:
            assert stream.status_code == 200

            async def connections() -> list[dict]:
                return (await people.admin.get("/v1/admin/connections"))["items"]

            (connection,) = await until(connections, "the stream is open")
            await refuse_everything(server, people, HERE | {"connection": connection["id"]})

        async def is_well() -> bool:
            return (await siti.request("GET", f"/v1/rooms/{room}")).status_code == 200

        await until(is_well, "it goes on as if nothing had been")
        assert [message["id"] for message in await siti.history(room)] == [said["id"]]
        await siti.say(room, "after")


async def refuse_everything(server: Server, people: People, places: dict[str, str]) -> None:
    with refusing_storage(server.data):
        for operation in Operation.refusing("unavailable"):
            # It takes traffic all the while; when it does not, is for test_serve.py.
            if operation.id == "getReadiness":
                continue
            query = f"call={places['call']}" if operation.id == "getIceServers" else ""
            answer = await expect(
                operation, people.insider(operation), 503, "unavailable", places=places, query=query)
            assert int(answer.headers["retry-after"]) >= 1
    assert server.is_running()
