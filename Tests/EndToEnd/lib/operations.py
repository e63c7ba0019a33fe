"""The contract's operations as requests: each with its path filled in and a body that its own example gives."""

import re
from dataclasses import dataclass, field

import httpx

from .client import Client
from .contract import Contract

NOBODY = "0" * 26
# Of each the well-formed name of what is not there.
NOWHERE = {
    "user": f"usr_{NOBODY}", "room": f"room_{NOBODY}", "message": f"msg_{NOBODY}", "call": f"call_{NOBODY}",
    "key": f"key_{NOBODY}", "invite": f"inv_{NOBODY}", "webhook": f"hook_{NOBODY}", "backup": f"bak_{NOBODY}",
    "connection": "con_000000-1", "bridge": "nowhere", "slug": "no-such-problem", "file": "nothing.js",
}
# What a signed-in user has in any case.
HERE = NOWHERE | {"user": "me", "room": "lobby"}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    id: str
    method: str
    template: str
    # As in the contract: slugs of problems, statuses, scopes of keys.
    problems: list[str]
    statuses: set[str]
    scopes: list[str]
    # Whether it takes a body; the JSON of its first example, if it does.
    has_body: bool
    body: dict | None = field(hash=False)
    is_open: bool

    @classmethod
    def all(cls) -> list["Operation"]:
        found = []
        for template, item in Contract.shared().document["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    found.append(cls._read(template, method, operation))
        return found

    @classmethod
    def _read(cls, template: str, method: str, operation: dict) -> "Operation":
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        examples = [one["value"] for one in content.get("examples", {}).values()]
        return cls(
            operation["operationId"], method.upper(), template, operation.get("x-problems", []),
            set(operation["responses"]), operation.get("x-scopes", []), "requestBody" in operation,
            content.get("example") or (examples[0] if examples else None), operation.get("security") == [])

    @classmethod
    def named(cls, id: str) -> "Operation":
        return next(one for one in cls.all() if one.id == id)

    @classmethod
    def refusing(cls, slug: str) -> list["Operation"]:
        """Those that can answer with this problem."""
        found = [one for one in cls.all() if slug in one.problems]
        assert found, f"no operation refuses with {slug}"
        return found

    @property
    def is_for_admins(self) -> bool:
        return self.template.startswith(("/v1/admin/", "/v1/webhooks"))

    @property
    def is_socket(self) -> bool:
        return self.template in ("/v1/ws", "/ws/{room}")

    async def ask(
        self, client: Client, places: dict[str, str] = HERE, body=None, query: str = "", headers: dict | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Asks for it; with the example of the contract where no body is given."""
        path = re.sub(r"\{(\w+)\}", lambda match: places[match[1]], self.template)
        # A stream of NDJSON has a status where one of SSE has a frame.
        if self.template.endswith("/stream"):
            query = f"{query}&format=ndjson".removeprefix("&")
        headers = (UPGRADE if self.is_socket else {}) | (headers or {})
        if content is None and body is None and self.has_body:
            body = self.body
        return await client.request(
            self.method, path + (f"?{query}" if query else ""), body, headers=headers, content=content)

    def __str__(self) -> str:
        return f"{self.id} ({self.method} {self.template})"
