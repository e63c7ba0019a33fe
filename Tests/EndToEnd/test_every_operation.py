"""What every operation of the contract refuses before it looks at what was asked for: strangers, keys that reach
elsewhere, and whoever asks too often."""

import re

import pytest

from lib.client import Client
from lib.contract import Contract
from lib.server import Server

pytestmark = pytest.mark.anyio

NOBODY = "0" * 26
PLACES = {
    "user": "me", "room": "lobby", "message": f"msg_{NOBODY}", "call": f"call_{NOBODY}", "key": f"key_{NOBODY}",
    "invite": f"inv_{NOBODY}", "webhook": f"hook_{NOBODY}", "backup": f"bak_{NOBODY}",
}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def operations(slug: str) -> list[tuple[str, str, dict]]:
    """(method, path with places filled in, operation) of those that can answer with this problem."""
    found = []
    for template, item in Contract.shared().document["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda match: PLACES.get(match[1], f"x_{NOBODY}"), template)
        for method, operation in item.items():
            if method != "parameters" and slug in operation.get("x-problems", []):
                # A stream of NDJSON has a status where one of SSE has a frame.
                found.append((method.upper(), path + ("?format=ndjson" if path.endswith("/stream") else ""), operation))
    assert len(found) > 40
    return found


def is_for_admins(path: str) -> bool:
    return path.startswith(("/v1/admin/", "/v1/webhooks"))


async def ask(client: Client, method: str, path: str, body: dict | None = None):
    headers = UPGRADE if path == "/v1/ws" or path.startswith("/ws/") else None
    has_body = method in ("POST", "PUT", "PATCH")
    return await client.request(method, path, (body or {}) if has_body else None, headers=headers)


async def test_strangers_get_401(server: Server):
    async with Client(server) as stranger:
        for method, path, operation in operations("unauthorized"):
            if operation["operationId"] != "createTokens":
                answer = await ask(stranger, method, path)
                assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"


async def test_keys_without_the_scope_get_403(server: Server):
    scopes = Contract.shared().document["components"]["schemas"]["Scope"]["enum"]
    keys: dict[tuple, Client] = {}
    async with Client.admin(server) as admin:
        for method, path, operation in operations("insufficient-scope"):
            others = tuple(scope for scope in scopes if scope not in operation["x-scopes"])
            if others not in keys:
                body = {"name": "elsewhere", "scopes": list(others)}
                made = await admin.post("/v1/users/me/api-keys", body, expect=201)
                keys[others] = Client(server, {"accessToken": made["key"]})
            answer = await ask(keys[others], method, path)
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
            assert answer.json()["type"] == "/problems/insufficient-scope", f"{method} {path}: {answer.text}"
    for client in keys.values():
        await client.http.aclose()


async def test_who_asks_too_often_gets_429(server_factory):
    rates = ("reads", "writes", "messages", "signals", "events", "sign_ups", "anonymous", "passwords")
    server = server_factory(rate_limits="true", **{f"rate_{name}": "1/3600" for name in rates}).start()
    async with Client.admin(server) as admin, Client(server) as stranger:
        made = await admin.post("/v1/users", {"username": "siti", "password": "rahasia sekali"}, expect=201)
        async with Client(server, made) as siti:
            for method, path, operation in operations("rate-limited"):
                is_open = operation.get("security") == []
                client = stranger if is_open else admin if is_for_admins(path) else siti
                body = {
                    "createUser": {"username": "budi"},
                    "createTokens": {"grant": "password", "username": "siti", "password": "salah sekali"},
                }.get(operation["operationId"])
                statuses = []
                while 429 not in statuses and len(statuses) < 12:
                    answer = await ask(client, method, path, body)
                    statuses.append(answer.status_code)
                assert statuses[-1] == 429, f"{method} {path}: {statuses}"
                assert int(answer.headers["retry-after"]) >= 1 and "r=0" in answer.headers["ratelimit"]
