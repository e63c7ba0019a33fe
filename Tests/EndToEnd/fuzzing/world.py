"""What exists on a fuzzed server: the account under test, another one, and a room, a message, a call of both.

The contract's examples name things that no server has (`lobby`, `call_01KAPQ6B1V9E3X7M5N0D8S2KTF`). `World` says what
stands for each of them on this one, makes it when it is first asked for, and makes another when a case has used it up:
archived the room, ended the call, deleted its own account.
"""

import itertools
import secrets
import time

import requests

PASSWORD = "correct horse battery"
TIMEOUT_SECONDS = 60
# What the account under test calls its device, as the contract's example does.
DEVICE = "tab-2"

# Each example of the contract as (thing, member, what is put in front).
EXAMPLES = {
    "lobby": ("room", "name", ""),
    "room_01KAPQ4DZ2T8N6W1X5C7J0HRVS": ("room", "id", ""),
    "@budi": ("friend", "username", "@"),
    "usr_01KAPQ3M0T5C8G2E6W4Z7J9RXN": ("friend", "id", ""),
    "usr_01KAPQ2T9D6M3X8V0C5H7S1WEN": ("me", "id", ""),
    "siti": ("me", "username", ""),
    "msg_01KAPQ5WZ8N3V6T4R2Y7XH9EJM": ("message", "id", ""),
    "call_01KAPQ6B1V9E3X7M5N0D8S2KTF": ("call", "id", ""),
    "cbl_Yk3nS0vQ8xF5uJ2eP7aB1w": ("call", "leaveToken", ""),
    "sig_01KAPQ6R4J7T2C0W9Z5E3H8XBN": ("call", "offer", ""),
    "k3f9.1042": ("log", "cursor", ""),
    "key_01KAPQ8W5E2R9T4Y7V1J6H3GBN": ("api-key", "id", ""),
    "inv_01KAPQ8X7Q3W6E0R5T2Y9V4JHN": ("invite", "id", ""),
    "hook_01KAPQ8Z3X6C9V2B5N8M1K4JHG": ("webhook", "id", ""),
    "bak_01KAPQ9X3V7B2N5M8C0D4F6G1H": ("backup", "id", ""),
    "con_7f3k2m-12": ("connection", "id", ""),
    "notebook": ("bridge", "name", ""),
}

# What goes with a thing when it goes.
DEPENDENTS = {
    "me": ["friend", "room", "message", "call", "api-key", "webhook", "bridge"],
    "friend": ["room", "message", "call", "connection"],
    "room": ["message", "call", "bridge"],
}


class Refused(Exception):
    """The server refused what the world is made of: a case has spoilt it."""


class World:
    """The things of one run, by name. `role` is who asks: `user`, `admin` or `nobody`."""

    def __init__(self, url: str, role: str, admin_token: str):
        self.url = url
        self.role = role
        # This admin makes the others, so `hooks` keeps its account out of the cases' reach.
        self.admin_token = admin_token
        self.http = requests.Session()
        self.numbers = itertools.count(1)
        self.things: dict[str, dict] = {}
        self.is_doubted = False
        self.root = self._ask("GET", "/v1/users/me", admin_token)

    @property
    def token(self) -> str:
        """An access token of the account under test, which is there and may sign in."""
        if self.is_doubted and "me" in self.things:
            self.is_doubted = False
            me = self.things["me"]
            if self._answer("GET", "/v1/users/me", me["token"]).status_code != 200:
                answer = self._answer("POST", "/v1/tokens", None, self._password_grant(me))
                if answer.status_code == 200:
                    me["token"] = answer.json()["accessToken"]
                else:
                    self.spend("me")
        return self.thing("me")["token"]

    def doubt(self) -> None:
        """A case may have revoked the token, demoted, suspended or deleted the account."""
        self.is_doubted = True

    def standing_for(self, example: str) -> str:
        """What this server has in place of an example's thing; the text itself if it is none."""
        if example not in EXAMPLES:
            return example
        name, member, prefix = EXAMPLES[example]
        return prefix + str(self.thing(name)[member])

    def thing(self, name: str) -> dict:
        if name not in self.things:
            make = getattr(self, "_make_" + name.replace("-", "_"))
            try:
                self.things[name] = make()
            except Refused:
                self.things.clear()
                self.things[name] = make()
        return self.things[name]

    def spend(self, name: str) -> None:
        """A case found that this is gone, or ended it: the next case gets another."""
        for gone in [name, *DEPENDENTS.get(name, [])]:
            self.things.pop(gone, None)

    # MARK: How each is made

    def _make_me(self) -> dict:
        me = self._sign_up("siti", {"password": PASSWORD})
        if self.role == "admin":
            self._ask("PATCH", f"/v1/admin/users/{me['id']}", self.admin_token, {"role": "admin"})
        return me

    def _make_friend(self) -> dict:
        return self._sign_up("budi", {})

    def _make_room(self) -> dict:
        """A public room that I own and the friend is in."""
        room = self._ask("POST", "/v1/rooms", self.token, {"name": f"lobby-{next(self.numbers)}", "title": "Lobby"})
        self._ask("PUT", f"/v1/rooms/{room['id']}/members/me", self.thing("friend")["token"], {})
        return room

    def _make_message(self) -> dict:
        room = self.thing("room")
        return self._ask("POST", f"/v1/rooms/{room['id']}/messages", self.token, {"content": "Halo, ada orang?"})

    def _make_call(self) -> dict:
        """Mostly a call of mine that the friend has joined, with an offer of the friend's to me; every third time one
        of the friend's that rings me."""
        friend, me, room = self.thing("friend"), self.thing("me"), self.thing("room")
        is_ringing = next(self.numbers) % 3 == 0
        caller, callee = (friend, me) if is_ringing else (me, friend)
        body = {"media": {"audio": True, "video": True}, "invite": [callee["id"]]}
        path = f"/v1/rooms/{room['id']}/calls"
        answer = self._answer("POST", path, caller["token"], body)
        if answer.status_code == 409:  # Ten others go on, or one of the other's crosses it.
            self._end_calls()
            answer = self._answer("POST", path, caller["token"], body)
        made = self._accepted(answer)
        call = made["call"]["id"]
        if is_ringing:
            return {"id": call, "leaveToken": made["leaveToken"], "offer": "sig_" + "0" * 26}
        self._ask("POST", f"/v1/calls/{call}/join", friend["token"], {})
        offer = {"to": me["id"], "type": "offer", "sdp": "v=0\r\n"}
        sent = self._ask("POST", f"/v1/calls/{call}/signals", friend["token"], offer)
        return {"id": call, "leaveToken": made["leaveToken"], "offer": sent["id"]}

    def _end_calls(self) -> None:
        for user in (self.thing("me"), self.thing("friend")):
            for call in self._ask("GET", "/v1/calls?limit=200", user["token"])["items"]:
                if call["state"] != "ended":
                    self._ask("POST", f"/v1/calls/{call['id']}/leave", user["token"], {})

    def _make_log(self) -> dict:
        return self._ask("GET", "/v1/events", self.token)

    def _make_api_key(self) -> dict:
        for key in self._ask("GET", "/v1/users/me/api-keys?limit=200", self.token)["items"]:
            self._ask("DELETE", f"/v1/users/me/api-keys/{key['id']}", self.token)
        return self._ask("POST", "/v1/users/me/api-keys", self.token, {"name": "bot", "scopes": ["rooms:read"]})

    def _make_invite(self) -> dict:
        return self._ask("POST", "/v1/admin/invites", self.admin_token, {})

    def _make_webhook(self) -> dict:
        """One that has nowhere to deliver to, as port 9 of an address inside is refused."""
        hooks = self._ask("GET", "/v1/webhooks?limit=200", self.admin_token)["items"]
        for hook in hooks[90:]:  # Of a hundred there may be.
            self._ask("DELETE", f"/v1/webhooks/{hook['id']}", self.admin_token)
        body = {"url": "https://127.0.0.1:9/", "types": ["message.*"]}
        return self._ask("POST", "/v1/webhooks", self.admin_token, body)

    def _make_backup(self) -> dict:
        answer = self._answer("POST", "/v1/admin/backups", self.admin_token)
        while answer.status_code == 409:  # A case's own is being written.
            time.sleep(0.05)
            answer = self._answer("POST", "/v1/admin/backups", self.admin_token)
        return self._accepted(answer)

    def _make_bridge(self) -> dict:
        """Paused, so that it dials nobody."""
        room = self._ask("POST", "/v1/rooms", self.token, {"title": "Bridged"})
        body = {"name": f"notebook-{next(self.numbers)}", "room": room["id"], "url": "ws://127.0.0.1:9/{room}"}
        return self._ask("POST", "/v1/admin/bridges", self.admin_token, body | {"paused": True})

    def _make_connection(self) -> dict:
        """A stream of the friend's, which is open until a case cuts it."""
        friend = self.thing("friend")
        headers = {"Authorization": f"Bearer {friend['token']}"}
        stream = requests.get(f"{self.url}/v1/events/stream", headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
        open_ones = self._ask("GET", "/v1/admin/connections?limit=200", self.admin_token)["items"]
        mine = next((one for one in open_ones if one["user"] == friend["id"]), None)
        if mine is None:
            raise Refused("the friend's stream is not among the connections")
        return {"id": mine["id"], "stream": stream}

    def _sign_up(self, name: str, more: dict) -> dict:
        body = {"username": f"{name}-{next(self.numbers)}-{secrets.token_hex(3)}"} | more
        made = self._ask("POST", "/v1/users", None, body)
        return made["user"] | {"token": made["accessToken"]}

    @staticmethod
    def _password_grant(user: dict) -> dict:
        return {"grant": "password", "username": user["username"], "password": PASSWORD}

    def _answer(self, method: str, path: str, token: str | None, body: dict | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "Comblang-Device": DEVICE} if token is not None else {}
        return self.http.request(method, self.url + path, json=body, headers=headers, timeout=TIMEOUT_SECONDS)

    def _ask(self, method: str, path: str, token: str | None, body: dict | None = None) -> dict:
        return self._accepted(self._answer(method, path, token, body))

    @staticmethod
    def _accepted(answer: requests.Response) -> dict:
        if not answer.ok:
            raise Refused(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else {}
