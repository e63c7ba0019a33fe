"""The commands that are clients of a server, as somebody at a terminal meets them."""

import asyncio
import contextlib
import http.server
import json
import re
import subprocess
import threading

import pytest

from lib.client import Client
from lib.ledger import seq
from lib.server import BINARY, Server, assert_one_line_error, comblang, environment, until


class Command:
    """The CLI against one server."""

    def __init__(self, server: Server, token: str | None = None):
        self.server, self.token = server, token

    def settings(self) -> dict:
        return {"token": self.token} if self.token else {"data_dir": self.server.data}

    def __call__(self, *arguments: str, ok: bool = True, stdin: str = "") -> str:
        result = subprocess.run(
            [BINARY, *arguments, "--url", self.server.recorded_url], env=environment(**self.settings()), input=stdin,
            capture_output=True, text=True, timeout=30)
        assert (result.returncode == 0) == ok, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout if ok else result.stderr

    def json(self, *arguments: str, **more) -> list[dict]:
        return [json.loads(line) for line in self(*arguments, "--json", **more).splitlines()]


def test_rooms_users_and_messages_by_the_command_line(server: Server):
    admin = Command(server)
    (made,) = admin.json("user", "create", "siti", "--password", stdin="rahasia sekali\n")
    assert made["user"]["username"] == "siti" and made["accessToken"]
    siti = Command(server, made["accessToken"])
    (room,) = siti.json("room", "create", "dapur")
    assert room["name"] == "dapur" and room["createdBy"] == made["user"]["id"]
    assert "dapur" in siti("room", "list")
    assert [entry["name"] for entry in siti.json("room", "list")].count("dapur") == 1

    (guest,) = admin.json("user", "create", "budi")
    budi = Command(server, guest["accessToken"])
    assert "not" in budi("send", "dapur", "halo", ok=False)
    budi("room", "join", "dapur")
    (message,) = budi.json("send", "dapur", "halo", "semua")
    assert message["content"] == "halo semua"
    assert {member["username"] for member in siti.json("room", "members", "dapur")} == {"siti", "budi"}
    assert {"siti", "budi"} <= {user["username"] for user in siti.json("user", "list")}
    (shown,) = budi.json("user", "show", "me")
    assert shown["id"] == guest["user"]["id"]

    exports = siti("token", "create", "password", "siti", stdin="rahasia sekali\n")
    token = re.search(r"export COMBLANG_TOKEN=(\S+)", exports)[1]
    again = Command(server, token)
    assert again.json("user", "show", "me")[0]["username"] == "siti"
    again("token", "revoke")
    assert "credentials" in again("user", "show", "me", ok=False).lower()
    assert siti.json("user", "show", "me")[0]["username"] == "siti", "another session was revoked too"

    budi("room", "leave", "dapur")
    siti("room", "archive", "dapur")
    assert "archived" in siti("send", "dapur", "masih ada orang?", ok=False)


def test_a_password_is_changed_and_a_guest_becomes_an_account(server: Server):
    admin = Command(server)
    (made,) = admin.json("user", "create", "siti", "--password", stdin="rahasia sekali\n")
    siti = Command(server, made["accessToken"])
    exports = siti("token", "create", "password", "siti", stdin="rahasia sekali\n")
    other = Command(server, re.search(r"export COMBLANG_TOKEN=(\S+)", exports)[1])
    assert "currentPassword" in siti("user", "password", stdin="salah sekali\nlebih rahasia\n", ok=False)
    siti("user", "password", stdin="rahasia sekali\nlebih rahasia\n")
    siti("user", "show", "me")
    assert "credentials" in other("user", "show", "me", ok=False).lower()
    assert "wrong" in admin("token", "create", "password", "siti", stdin="rahasia sekali\n", ok=False)
    admin("token", "create", "password", "siti", stdin="lebih rahasia\n")

    (guest,) = admin.json("user", "create", "budi")
    budi = Command(server, guest["accessToken"])
    budi("user", "password", stdin="\nrahasia sekali\n")
    assert budi.json("user", "show", "me")[0]["kind"] == "account"
    admin("token", "create", "password", "budi", stdin="rahasia sekali\n")


@pytest.mark.parametrize("arguments, words", [
    (("room", "show", "nowhere"), "no such"),
    (("user", "show", "@nobody"), "no such"),
    (("room", "create", "X"), "name"),
], ids=lambda value: "-".join(value) if isinstance(value, tuple) else None)
def test_a_refusal_by_the_server_is_one_line(server: Server, arguments, words):
    result = comblang(*arguments, "--url", server.url, data_dir=server.data)
    assert_one_line_error(result)
    assert words in result.stderr.lower()


def test_no_server_is_one_line(server: Server):
    server.stop()
    assert_one_line_error(comblang("room", "list", "--url", server.url, data_dir=server.data), server.url)


async def test_tail_goes_on_behind_its_last_event_after_a_restart(server: Server, tmp_path):
    async with await Client.sign_up(server, "reader", "a password") as client:
        room = (await client.create_room())["id"]
        output, remarks = tmp_path / "tail.out", tmp_path / "tail.err"
        with open(output, "wb") as out, open(remarks, "wb") as err:
            tail = subprocess.Popen(
                [BINARY, "tail", "--url", server.recorded_url, "--types", "message.*", "--after", "earliest",
                 "--cursor-file", str(tmp_path / "cursor")],
                env=environment(token=client.token), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            sent = []

            def printed() -> list[dict]:
                return [json.loads(line) for line in output.read_text().splitlines()]

            for _ in range(3):
                sent += [(await client.say(room, f"number {len(sent)}"))["id"] for _ in range(10)]
                await until(lambda: len(printed()) >= len(sent), f"tail prints, {remarks.read_text()}", 30)
                await server.restart_after_kill()
            sent.append((await client.say(room, "the end"))["id"])
            await until(lambda: len(printed()) >= len(sent), f"tail prints, {remarks.read_text()}", 30)
            events = printed()
            assert [event["data"]["id"] for event in events] == sent
            assert [seq(event["id"]) for event in events] == sorted(seq(event["id"]) for event in events)
            assert remarks.read_text(), "nothing was said about the lost connections"
        finally:
            tail.terminate()
            await asyncio.to_thread(tail.wait, 10)

        # The next run goes on where this one stopped.
        after = (await client.say(room, "while nobody listened"))["id"]
        with open(output, "wb") as out:
            tail = subprocess.Popen(
                [BINARY, "tail", "--url", server.recorded_url, "--types", "message.*", "--cursor-file", str(tmp_path / "cursor")],
                env=environment(token=client.token), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
        try:
            await until(lambda: output.read_text().endswith("\n"), "tail prints", 20)
            assert [json.loads(line)["data"]["id"] for line in output.read_text().splitlines()] == [after]
        finally:
            tail.terminate()
            await asyncio.to_thread(tail.wait, 10)


@contextlib.contextmanager
def odd_server(answers: dict[str, bytes | None]):
    """Answers each path with JSON of its own, or with a head and no more where there is none."""
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = answers[self.path.split("?")[0]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body or b"none")))
            self.end_headers()
            if body is None:
                ended.wait()
            else:
                self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def test_numbers_that_no_server_sends_end_no_command():
    made = {"id": "bak_1", "state": "running", "progress": 1e30}
    total = {"calls": 1, "answerRate": 9_223_372_036_854_775_807, "failureRate": 1e300, "relayRate": 1}
    with odd_server({
        "/v1/admin/backups": json.dumps(made).encode(),
        "/v1/admin/backups/bak_1": json.dumps(made | {"state": "done", "file": "x", "bytes": 1e300}).encode(),
        "/v1/admin/calls/stats": json.dumps({"bucket": "day", "total": total}).encode(),
    }) as url:
        backup = comblang("backup", "--url", url, token="none")
        assert backup.returncode == 0 and backup.stdout.startswith("backups/x"), backup.stderr
        stats = comblang("calls", "stats", "--url", url, token="none")
        assert stats.returncode == 0 and "100 %" in stats.stdout, stats.stderr


def test_an_answer_that_never_ends_is_given_up():
    with odd_server({"/v1/rooms": None}) as url:
        assert_one_line_error(comblang("room", "list", "--url", url, token="none", timeout=90), "cannot reach", url)
