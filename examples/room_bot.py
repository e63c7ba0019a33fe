#!/usr/bin/env python3
"""A bot in a room that survives restarts: it goes on at its cursor and answers everything once.

    examples/room_bot.py --room lobby --state bot.json [--url http://127.0.0.1:8080] [--name gema]

It answers `!halo` and `!gema TEXT`. Kill it, restart the server, unplug the network: what was said meanwhile is
answered when it is back. Python's standard library is all it needs.

Two things make that work. The cursor is saved only *after* the answers to its events were acknowledged, so that nothing
is skipped. And each answer carries the event's id as its `Idempotency-Key`, so that what was answered just before a
crash is not answered again.
"""

import argparse
import http.client
import json
import os
import pathlib
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

POLL_SECONDS = 25
RETRY_SECONDS_MAX = 30


class Refused(Exception):
    """An RFC 9457 problem: what the server says is wrong, and `slug`, to decide by."""

    def __init__(self, status: int, problem: dict):
        super().__init__(f"{status} {problem.get('title')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem
        self.slug = str(problem.get("type", "")).rpartition("/")[2]


class Bot:
    def __init__(self, url: str, room: str, name: str, state: pathlib.Path):
        self.url, self.room, self.name, self.path = url.rstrip("/"), room, name, state
        self.state: dict = json.loads(state.read_text()) if state.exists() else {}

    # What must survive a restart.

    def save(self, **change) -> None:
        """Replaces the file as a whole: a crash leaves the old one or the new one. It holds tokens: 0600."""
        self.state |= change
        fresh = self.path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    # Requests.

    def once(self, method: str, path: str, body=None, key: str | None = None, timeout: float = 40):
        headers = {"Content-Type": "application/json", "Comblang-Device": "bot"}
        if "accessToken" in self.state:
            headers["Authorization"] = f"Bearer {self.state['accessToken']}"
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            try:
                problem = json.loads(error.read())
            except ValueError:
                problem = {"title": error.reason}
            if wait := error.headers.get("Retry-After"):
                problem["retryAfter"] = int(wait)
            raise Refused(error.code, problem) from None

    def ask(self, method: str, path: str, body=None, key: str | None = None):
        """Asks until there is an answer that counts: the network may be gone for hours."""
        delay = 0.5
        while True:
            try:
                return self.once(method, path, body, key)
            except Refused as refusal:
                if refusal.status == 401 and "refreshToken" in self.state:
                    self.refresh()
                    continue
                if refusal.status not in (429, 500, 502, 503, 504):
                    raise
                wait = refusal.problem.get("retryAfter", delay)
            except (OSError, http.client.HTTPException, ValueError) as error:
                print(f"no answer ({error}); again in {delay:.1f} s", file=sys.stderr, flush=True)
                wait = delay
            time.sleep(wait + secrets.randbelow(250) / 1000)
            delay = min(RETRY_SECONDS_MAX, delay * 2)

    def refresh(self) -> None:
        """The spent refresh token is good for 30 s more, so that a lost answer does no harm."""
        spent = self.state.pop("accessToken", None)
        try:
            self.keep(self.ask("POST", "/v1/tokens", {"grant": "refresh", "refreshToken": self.state["refreshToken"]}))
        except Refused:
            # A guest expires a day after its last use: come back as a new one, at the same cursor.
            print("the session is over, entering anew", file=sys.stderr, flush=True)
            self.state.pop("refreshToken")
            self.enter()
        assert self.state["accessToken"] != spent

    def keep(self, tokens: dict) -> None:
        self.save(accessToken=tokens["accessToken"], refreshToken=tokens["refreshToken"], user=tokens["user"]["id"])

    def enter(self) -> None:
        username = f"{self.name}-{secrets.token_hex(3)}"
        self.keep(self.ask("POST", "/v1/users", {"username": username, "displayName": self.name}))
        self.ask("PUT", f"/v1/rooms/{urllib.parse.quote(self.room)}/members/me", {})

    # The work.

    def answer(self, event: dict) -> None:
        message = event["data"]
        if event["type"] != "message.created" or message["user"] == self.state["user"] or message.get("redacted"):
            return
        word, _, rest = message["content"].partition(" ")
        reply = {"!halo": f"Halo, {message['displayName']}!", "!gema": rest}.get(word)
        if reply:
            try:
                self.ask("POST", f"/v1/rooms/{message['room']}/messages", {"content": reply}, key=f"answer-{event['id']}")
            except Refused as refusal:
                # The room is archived, say: no reason to stop, and no use in asking again.
                print(f"could not answer {event['id']}: {refusal}", file=sys.stderr, flush=True)

    def run(self) -> None:
        if "refreshToken" not in self.state:
            self.enter()
        path = f"/v1/rooms/{urllib.parse.quote(self.room)}/events"
        if "cursor" not in self.state:
            self.save(cursor=self.ask("GET", path)["cursor"])
        print(f"{self.name} listens in {self.room} from {self.state['cursor']}", flush=True)
        while True:
            query = {"after": self.state["cursor"], "wait": POLL_SECONDS, "types": "message.created"}
            try:
                page = self.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")
            except Refused as refusal:
                if refusal.slug != "cursor-expired":
                    raise
                # Away for longer than the log is kept. A bot that must miss nothing reads the history here.
                print(f"too old: going on from {refusal.problem['cursor']}", file=sys.stderr, flush=True)
                self.save(cursor=refusal.problem["cursor"])
                continue
            for event in page["events"]:
                self.answer(event)
            if page["cursor"] != self.state["cursor"]:
                self.save(cursor=page["cursor"])


def main() -> None:
    parser = argparse.ArgumentParser(description="A bot in a room that survives restarts.")
    parser.add_argument("--url", default=os.environ.get("URL", "http://127.0.0.1:8080"))
    parser.add_argument("--room", default="lobby", help="id or name")
    parser.add_argument("--name", default="gema")
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("bot.json"), help="cursor and tokens")
    arguments = parser.parse_args()
    try:
        Bot(arguments.url, arguments.room, arguments.name, arguments.state).run()
    except KeyboardInterrupt:
        pass
    except Refused as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
