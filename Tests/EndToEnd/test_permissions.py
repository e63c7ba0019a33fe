"""The permission table, cell by cell, over HTTP and WebSocket: who may do what, and that a private room is to an
outsider what a room is that never was."""

import itertools
import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from lib.calls import MEDIA, OFFER, answer, offer, start
from lib.client import Client
from lib.contract import Contract
from lib.operations import NOBODY, UPGRADE, Operation
from lib.server import Server

pytestmark = pytest.mark.anyio

SIGNAL = {"type": "custom", "payload": {"hand": "raised"}}
QUALITY = {"rttMs": 20, "packetLoss": 0, "jitterMs": 1}


@dataclass(frozen=True)
class Action:
    """One thing to do, and the status that each role gets for it. `{…}` in path and body are places of the stage."""

    operation: str
    expected: tuple[int, ...]
    body: dict | None = None
    query: str = ""
    places: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(filter(None, [
            self.operation, self.query, *self.places.values(), json.dumps(self.body) if self.body else ""]))


def action(operation: str, *expected: int, body: dict | None = None, query: str = "", **places: str) -> Action:
    return Action(operation, expected, body, query, places)


# MARK: The table of rooms

ROOM_ROLES = ("nobody", "outsider", "admin", "member", "moderator", "owner")
# `{other}`, `{other_moderator}`, `{other_owner}` are in the room, `{stranger}` is not. `{theirs}` is a message of the
# other; `{own}` the asker's, or the other's where the asker could not write one.
ROOM_TABLE = [
    action("getRoom", 401, 200, 200, 200, 200, 200),
    action("listMembers", 401, 200, 200, 200, 200, 200),
    action("updateRoom", 401, 403, 200, 403, 200, 200, body={"title": "T"}),
    action("updateRoom", 401, 403, 200, 403, 403, 200, body={"archived": True}),
    action("archiveRoom", 401, 403, 204, 403, 403, 204),
    action("putMember", 401, 201, 201, 200, 200, 200, user="me"),
    action("putMember", 401, 201, 201, 200, 200, 200, user="me", body={"role": "owner"}),
    action("putMember", 401, 403, 403, 403, 201, 201, user="{stranger}"),
    action("putMember", 401, 403, 403, 403, 403, 201, user="{stranger}", body={"role": "moderator"}),
    action("putMember", 401, 403, 403, 403, 403, 201, user="{stranger}", body={"role": "owner"}),
    action("putMember", 401, 403, 200, 403, 403, 200, user="{other}", body={"role": "moderator"}),
    action("putMember", 401, 403, 200, 403, 403, 200, user="{other}", body={"role": "owner"}),
    action("putMember", 401, 403, 200, 403, 403, 200, user="{other_moderator}", body={"role": "member"}),
    action("putMember", 401, 403, 200, 403, 403, 200, user="{other_owner}", body={"role": "member"}),
    action("deleteMember", 401, 403, 403, 204, 204, 204, user="me"),
    action("deleteMember", 401, 403, 204, 403, 204, 204, user="{other}"),
    action("deleteMember", 401, 403, 204, 403, 403, 204, user="{other_moderator}"),
    action("deleteMember", 401, 403, 204, 403, 403, 204, user="{other_owner}"),
    action("listMessages", 401, 403, 403, 200, 200, 200),
    action("listMessages", 401, 403, 403, 200, 200, 200, query="q=theirs"),
    action("getMessage", 401, 403, 403, 200, 200, 200, message="{theirs}"),
    action("postMessage", 401, 403, 403, 201, 201, 201, body={"content": "x"}),
    action("editMessage", 401, 403, 403, 200, 200, 200, message="{own}", body={"content": "y"}),
    action("editMessage", 401, 403, 403, 403, 200, 200, message="{theirs}", body={"content": "y"}),
    action("deleteMessage", 401, 403, 403, 204, 204, 204, message="{own}"),
    action("deleteMessage", 401, 403, 403, 403, 204, 204, message="{theirs}"),
    action("sendTyping", 401, 403, 403, 204, 204, 204),
    action("markRead", 401, 403, 403, 204, 204, 204, body={"message": "{theirs}"}),
    action("listCalls", 401, 403, 200, 200, 200, 200),
    action("createCall", 401, 403, 403, 201, 201, 201, body=MEDIA),
    action("createCall", 401, 403, 403, 201, 201, 201, body=MEDIA | {"invite": ["{other}"]}),
    action("pollRoomEvents", 401, 403, 403, 200, 200, 200),
    action("streamRoomEvents", 401, 403, 403, 200, 200, 200),
    action("streamRoomEvents", 401, 403, 403, 200, 200, 200, query="format=ndjson"),
    action("pollEvents", 401, 403, 403, 200, 200, 200, query="room={room}"),
    action("streamEvents", 401, 403, 403, 200, 200, 200, query="room={room}"),
    action("openWebSocket", 401, 403, 403, 101, 101, 101, query="room={room}"),
    # The seed's clients have no word for joining: whoever comes to a public room is let in.
    action("openRoomSocket", 401, 101, 101, 101, 101, 101),
]

# MARK: The table of calls

CALL_ROLES = ("nobody", "outsider", "admin", "member", "moderator", "invited", "left", "joined", "initiator")
# A call of three that `{initiator}` made, with `{peer}` in it; both are joined. `{bystander}` is in the room only.
CALL_TABLE = [
    action("getCall", 401, 403, 200, 200, 200, 200, 200, 200, 200),
    action("joinCall", 401, 403, 403, 200, 200, 200, 200, 200, 200, body=MEDIA),
    action("inviteToCall", 401, 403, 403, 409, 409, 409, 409, 200, 200, body={"users": ["{bystander}"]}),
    action("sendSignal", 401, 403, 403, 409, 409, 409, 409, 202, 202, body=SIGNAL | {"to": "{peer}"}),
    # Who was in it or is asked to may say so again; who is not, has nothing to decline.
    action("rejectCall", 401, 403, 409, 409, 409, 200, 200, 409, 409),
    # Safe to repeat, and so to say without having been there.
    action("leaveCall", 401, 403, 200, 200, 200, 200, 200, 200, 200),
    action("endCall", 401, 403, 200, 403, 200, 403, 403, 403, 200),
    action("updateParticipant", 401, 403, 403, 409, 409, 409, 409, 200, 200, body=MEDIA),
    action("reportQuality", 401, 403, 409, 409, 409, 409, 204, 204, 204, body=QUALITY),
    action("getIceServers", 401, 403, 409, 409, 409, 409, 409, 200, 200, query="call={call}"),
    action("pollCallEvents", 401, 403, 403, 200, 200, 200, 200, 200, 200),
    action("streamCallEvents", 401, 403, 403, 200, 200, 200, 200, 200, 200),
    action("streamCallEvents", 401, 403, 403, 200, 200, 200, 200, 200, 200, query="format=ndjson"),
]
# What is answered with 200 to those whom it does not concern, and must leave the call as it is.
WITHOUT_EFFECT = {("leaveCall", role) for role in ("admin", "member", "moderator", "left")} | {("rejectCall", "left")}

# MARK: What is one's own, and what is the admins'

OWN_ROLES = ("nobody", "stranger", "acquaintance", "admin", "self")
# `{self}` shares a room with the acquaintance, with the stranger none, and has the key `{key}`.
OWN_TABLE = [
    action("getUser", 401, 404, 200, 200, 200, user="{self}"),
    action("updateUser", 401, 404, 403, 403, 200, user="{self}", body={"displayName": "Dewi"}),
    action("deleteUser", 401, 404, 403, 403, 204, user="{self}"),
    action("createApiKey", 401, 404, 403, 403, 201, user="{self}", body={"name": "bot", "scopes": ["events:read"]}),
    action("listApiKeys", 401, 404, 403, 403, 200, user="{self}"),
    action("deleteApiKey", 401, 404, 403, 403, 204, user="{self}", key="{key}"),
]
# Whoever is signed in, about themselves.
SIGNED_IN = {
    "listUsers": 200, "createRoom": 201, "listRooms": 200, "listOwnCalls": 200, "markCallsSeen": 200,
    "createStreamTicket": 201, "pollEvents": 200, "streamEvents": 200, "openWebSocket": 101, "getIceServers": 200,
    "revokeTokens": 204,
}


class Stage:
    """A server's people, and what one of them asks of it."""

    def __init__(self, server: Server):
        self.server = server
        self.closing = AsyncExitStack()
        self.people: dict[str, Client] = {}

    async def __aenter__(self) -> "Stage":
        self.admin = await self.closing.enter_async_context(Client.admin(self.server))
        self.nobody = await self.closing.enter_async_context(Client(self.server))
        return self

    async def __aexit__(self, *_) -> None:
        await self.closing.aclose()

    async def person(self, name: str, **more) -> Client:
        """The same one for the same name."""
        if name not in self.people:
            client = await Client.sign_up(self.server, name, **more)
            self.people[name] = await self.closing.enter_async_context(client)
        return self.people[name]

    async def ask(self, asker: Client, act: Action, places: dict[str, str]) -> httpx.Response:
        """The answer's head, and its body where it has an end."""
        operation = Operation.named(act.operation)
        method, path = operation.method, operation.template
        for name, value in (places | act.places).items():
            path = path.replace(f"{{{name}}}", value)
        path += f"?{act.query}" if act.query else ""
        body = None if act.body is None else json.loads(filled(json.dumps(act.body), places))
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = {}
        upgrade = UPGRADE if operation.is_socket else {}
        request = asker.http.build_request(
            method, filled(path, places), json=body, headers=asker.headers(upgrade))
        response = await asker.http.send(request, stream=True)
        try:
            if response.status_code != 101 and not response.headers.get("content-type", "").startswith(
                    ("text/event-stream", "application/x-ndjson")):
                await response.aread()
                Contract.shared().check(response)
        finally:
            await response.aclose()
        return response


def filled(text: str, places: dict[str, str]) -> str:
    # Twice, as a place may be given by another.
    for name, value in itertools.chain(places.items(), places.items()):
        text = text.replace(f"{{{name}}}", value)
    assert not re.search(r"{\w+}", text), text
    return text


def slug(response: httpx.Response) -> str:
    return response.json()["type"].removeprefix("/problems/")


def difference(act: Action, cell: int, got: httpx.Response) -> list[str]:
    """What is wrong with a cell; all wrong ones are told, not the first."""
    expected = act.expected[cell]
    return [] if got.status_code == expected else [f"{act}: {got.status_code}, not {expected}"]


def assert_tells_nothing(hidden: httpx.Response, missing: httpx.Response) -> None:
    """404, and the same to the last header as for what was never there."""

    def told(response: httpx.Response) -> tuple:
        headers = [(name, value) for name, value in response.headers.items() if name not in ("x-request-id", "date")]
        return response.status_code, headers, {
            name: value for name, value in response.json().items() if name not in ("instance", "requestId")}

    assert hidden.status_code == 404 and slug(hidden) == "not-found", hidden.text
    assert told(hidden) == told(missing)


# MARK: Rooms

async def room_places(stage: Stage, role: str, visibility: str) -> tuple[Client, dict[str, str]]:
    """A room with somebody of every role, and one who asks."""
    founder, other, other_moderator, other_owner = [
        await stage.person(name) for name in ("founder", "other", "moderator", "owner")]
    room = (await founder.create_room(visibility))["id"]

    async def invite(user: Client, role: str) -> None:
        await founder.put(f"/v1/rooms/{room}/members/{user.id}", {"role": role}, expect=201)

    for user, their_role in ((other, "member"), (other_moderator, "moderator"), (other_owner, "owner")):
        await invite(user, their_role)
    places = {
        "room": room, "other": other.id, "other_moderator": other_moderator.id, "other_owner": other_owner.id,
        "stranger": (await stage.person("stranger")).id, "theirs": (await other.say(room, "theirs"))["id"],
    }
    places["own"] = places["theirs"]
    asker = {"nobody": stage.nobody, "admin": stage.admin}.get(role) or await stage.person("asker")
    if role in ("member", "moderator", "owner"):
        await invite(asker, role)
        places["own"] = (await asker.say(room, "own"))["id"]
    return asker, places


@pytest.mark.parametrize("visibility", ["public", "private"])
@pytest.mark.parametrize("role", ROOM_ROLES)
async def test_the_table_of_rooms(shared_server: Server, role: str, visibility: str):
    cell = ROOM_ROLES.index(role)
    wrong = []
    async with Stage(shared_server) as stage:
        for act in ROOM_TABLE:
            asker, places = await room_places(stage, role, visibility)
            got = await stage.ask(asker, act, places)
            if role == "outsider" and visibility == "private":
                assert_tells_nothing(got, await stage.ask(asker, act, places | {"room": f"room_{NOBODY}"}))
                continue
            wrong += difference(act, cell, got)
            if got.status_code == act.expected[cell] == 403:
                in_room = role in ("member", "moderator", "owner")
                assert slug(got) == ("forbidden" if in_room else "not-a-member"), act
    assert not wrong, "; ".join(wrong)


# MARK: Calls

async def call_places(stage: Stage, role: str, visibility: str) -> tuple[Client, dict[str, str]]:
    """A call of two and an invited third in a room where others are, and one who asks."""
    owner, initiator, peer, invited, left, member = [
        await stage.person(name) for name in ("owner", "initiator", "peer", "invited", "left", "member")]
    room = (await owner.create_room(visibility))["id"]
    for user in (initiator, peer, invited, left, member):
        await owner.put(f"/v1/rooms/{room}/members/{user.id}", {}, expect=201)
    call = await start(initiator, room, [peer, invited])
    await peer.post(f"{call}/join")
    await answer(call, initiator, peer, (await offer(call, peer, initiator))["id"])
    await left.post(f"{call}/join")
    await left.post(f"{call}/leave")
    places = {
        "room": room, "call": call.removeprefix("/v1/calls/"), "bystander": owner.id,
        "peer": initiator.id if role == "joined" else peer.id,
    }
    given = {
        "nobody": stage.nobody, "admin": stage.admin, "member": member, "invited": invited, "left": left, "joined": peer,
        "initiator": initiator,
    }
    asker = given.get(role) or await stage.person("asker")
    if role == "moderator":
        await owner.put(f"/v1/rooms/{room}/members/{asker.id}", {"role": "moderator"}, expect=201)
    return asker, places


@pytest.mark.parametrize("visibility", ["public", "private"])
@pytest.mark.parametrize("role", CALL_ROLES)
async def test_the_table_of_calls(shared_server: Server, role: str, visibility: str):
    cell = CALL_ROLES.index(role)
    wrong = []
    async with Stage(shared_server) as stage:
        for act in CALL_TABLE:
            asker, places = await call_places(stage, role, visibility)
            initiator, path = stage.people["initiator"], f"/v1/calls/{places['call']}"
            before = await initiator.get(path)
            got = await stage.ask(asker, act, places)
            if role == "outsider" and visibility == "private":
                assert_tells_nothing(got, await stage.ask(asker, act, places | {"call": f"call_{NOBODY}"}))
            else:
                wrong += difference(act, cell, got)
            if got.is_error or (act.operation, role) in WITHOUT_EFFECT:
                assert await initiator.get(path) == before, f"{act} changed the call"
            await initiator.post(f"{path}/end")
    assert not wrong, "; ".join(wrong)


# MARK: People and admins

@pytest.mark.parametrize("role", OWN_ROLES)
async def test_the_table_of_what_is_ones_own(shared_server: Server, role: str):
    cell = OWN_ROLES.index(role)
    wrong = []
    async with Stage(shared_server) as stage:
        for number, act in enumerate(OWN_TABLE):
            # Guests have no keys, and one of these deletes its user.
            owner = await stage.person(f"self{number}", password="rahasia sekali")
            key = await owner.post("/v1/users/me/api-keys", {"name": "k", "scopes": ["events:read"]}, expect=201)
            asker = {"nobody": stage.nobody, "admin": stage.admin, "self": owner}.get(role) or await stage.person("asker")
            if role == "acquaintance":
                room = (await owner.create_room("private"))["id"]
                await owner.put(f"/v1/rooms/{room}/members/{asker.id}", {}, expect=201)
            places = {"self": owner.id, "key": key["id"]}
            got = await stage.ask(asker, act, places)
            if act.expected[cell] == 404:
                assert_tells_nothing(got, await stage.ask(asker, act, places | {"self": f"usr_{NOBODY}"}))
            else:
                wrong += difference(act, cell, got)
    assert not wrong, "; ".join(wrong)


async def test_whoever_is_signed_in_may_ask_for_themselves(shared_server: Server):
    bodies = {
        "createRoom": {"title": "T", "visibility": "private"}, "markCallsSeen": {"until": "2026-11-24T00:00:00.000Z"}}
    async with Stage(shared_server) as stage:
        asker = await stage.person("asker")
        for operation, expected in SIGNED_IN.items():
            act = action(operation, body=bodies.get(operation))
            assert (await stage.ask(stage.nobody, act, {})).status_code == 401, operation
            assert (await stage.ask(asker, act, {})).status_code == expected, operation
        assert (await stage.ask(asker, action("listRooms"), {})).status_code == 401, "signed out"


def operations() -> list[Operation]:
    """All that want credentials."""
    return [operation for operation in Operation.all() if not operation.is_open]


async def test_what_is_for_admins_is_for_nobody_else(shared_server: Server):
    """Whether or not it is there: a 404 or a 422 before the 403 would tell."""
    places = {
        name: f"x_{NOBODY}" for name in ("user", "call", "invite", "webhook", "connection", "backup", "bridge")}
    async with Stage(shared_server) as stage:
        asker = await stage.person("asker")
        for operation in operations():
            if operation.is_for_admins:
                act = action(operation.id)
                assert (await stage.ask(stage.nobody, act, places)).status_code == 401, operation
                refused = await stage.ask(asker, act, places)
                assert refused.status_code == 403 and slug(refused) == "forbidden", f"{operation}: {refused.text}"
                allowed = await stage.ask(stage.admin, act, places)
                # Without a body and at a place that is not there; chat search is off unless configured.
                expected = (403,) if operation.id == "searchMessages" else (200, 201, 404, 422)
                assert allowed.status_code in expected, f"{operation}: {allowed.text}"


def test_the_tables_have_every_operation():
    tables = {act.operation for act in ROOM_TABLE + CALL_TABLE + OWN_TABLE} | set(SIGNED_IN)
    admins = {operation.id for operation in operations() if operation.is_for_admins}
    assert tables | admins == {operation.id for operation in operations()}
    assert all(len(act.expected) == len(ROOM_ROLES) for act in ROOM_TABLE)
    assert all(len(act.expected) == len(CALL_ROLES) for act in CALL_TABLE)
    assert all(len(act.expected) == len(OWN_ROLES) for act in OWN_TABLE)
