"""A user of Comblang with one device: requests, and the answers a test goes on with."""

import asyncio
import itertools
import secrets
from datetime import UTC, datetime, timedelta

import httpx

from .contract import Contract
from .server import Server

_numbers = itertools.count(1)
# Access tokens last 15 min; a test may last longer.
REFRESH_BEFORE = timedelta(minutes=3)


class Client:
    """One user's requests over keep-alive connections; every answer is compared with `openapi/openapi.yaml`.

    A transport error (the server was killed) is raised as httpx raises it.
    """

    def __init__(self, server: Server, tokens: dict | None = None, device: str | None = None, checked: bool = True):
        self.server = server
        self.tokens = tokens or {}
        self.user: dict = self.tokens.get("user", {})
        self.device = device
        self.checked = checked
        self._refreshing = asyncio.Lock()
        self.http = httpx.AsyncClient(
            base_url=server.url, timeout=70, trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50))

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_) -> None:
        await self.http.aclose()

    @property
    def id(self) -> str:
        return self.user["id"]

    @property
    def token(self) -> str | None:
        return self.tokens.get("accessToken")

    @classmethod
    async def sign_up(cls, server: Server, name: str = "user", password: str | None = None, **more) -> "Client":
        """A new user with a name nobody has; a guest unless there is a password."""
        client = cls(server, **more)
        body = {"username": f"{name}-{next(_numbers)}-{secrets.token_hex(3)}"}
        if password is not None:
            body["password"] = password
        client.tokens = await client.post("/v1/users", body, expect=201)
        client.user = client.tokens["user"]
        return client

    @classmethod
    def admin(cls, server: Server, **more) -> "Client":
        return cls(server, {"accessToken": server.admin_token}, **more)

    def with_device(self, label: str) -> "Client":
        """The same user and token as another device."""
        return Client(self.server, self.tokens, label, self.checked)

    def headers(self, more: dict | None = None) -> dict[str, str]:
        """What every request of this device carries."""
        headers = {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.device is not None:
            headers["Comblang-Device"] = self.device
        return headers | (more or {})

    async def _refresh_when_due(self) -> None:
        """Another pair of tokens shortly before the access token expires, for all devices that share them."""
        async with self._refreshing:
            if "refreshToken" not in self.tokens:
                return
            if datetime.fromisoformat(self.tokens["expiresAt"]) > datetime.now(UTC) + REFRESH_BEFORE:
                return
            body = {"grant": "refresh", "refreshToken": self.tokens["refreshToken"]}
            answer = await self.http.post("/v1/tokens", json=body)
            # Else the old one is good for a while yet; the next request tries again.
            if answer.status_code == 200:
                self.tokens |= answer.json()

    async def request(self, method: str, path: str, json=None, headers: dict | None = None, **more) -> httpx.Response:
        await self._refresh_when_due()
        answer = await self.http.request(method, path, json=json, headers=self.headers(headers), **more)
        if self.checked:
            Contract.shared().check(answer)
        return answer

    async def ask(self, method: str, path: str, json=None, expect: int = 200, **more):
        """The answer's JSON (`None` without a body); fails unless the status is `expect`."""
        answer = await self.request(method, path, json, **more)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code}, not {expect}: {answer.text[:2000]}"
        return answer.json() if answer.content else None

    async def get(self, path: str, expect: int = 200, **more):
        return await self.ask("GET", path, expect=expect, **more)

    async def post(self, path: str, json=None, expect: int = 200, **more):
        return await self.ask("POST", path, {} if json is None else json, expect=expect, **more)

    async def put(self, path: str, json=None, expect: int = 200, **more):
        return await self.ask("PUT", path, {} if json is None else json, expect=expect, **more)

    async def patch(self, path: str, json, expect: int = 200, **more):
        return await self.ask("PATCH", path, json, expect=expect, **more)

    async def delete(self, path: str, expect: int = 204, **more):
        return await self.ask("DELETE", path, expect=expect, **more)

    async def create_room(self, visibility: str = "public", **more) -> dict:
        body = {"title": "Room", "visibility": visibility} | more
        if visibility == "public" and "name" not in body:
            body["name"] = f"room-{next(_numbers)}-{secrets.token_hex(3)}"
        return await self.post("/v1/rooms", body, expect=201)

    async def join_room(self, room: str) -> None:
        answer = await self.request("PUT", f"/v1/rooms/{room}/members/me", {})
        assert answer.is_success, answer.text

    async def say(self, room: str, content: str, expect: int = 201, **more) -> dict:
        return await self.post(f"/v1/rooms/{room}/messages", {"content": content}, expect=expect, **more)

    async def tail(self) -> str:
        """The log's present end."""
        return (await self.get("/v1/events"))["cursor"]

    async def history(self, room: str) -> list[dict]:
        """All messages of a room, oldest first, by pages."""
        items: list[dict] = []
        query: dict | None = {"limit": 200}
        while query is not None:
            page = await self.get(f"/v1/rooms/{room}/messages", params=query)
            items += page["items"]
            query = {"limit": 200, "before": page["next"]} if page["next"] else None
        return items[::-1]

    async def log(self, path: str = "/v1/events", after: str = "earliest", **query) -> list[dict]:
        """All events from `after` to the tail, by long-polls that do not wait."""
        events: list[dict] = []
        while True:
            answer = await self.get(path, params={"after": after, "wait": 0, "limit": 1000, **query})
            events += answer["events"]
            after = answer["cursor"]
            if not answer["more"]:
                return events
