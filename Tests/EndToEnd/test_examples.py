"""The programs of `examples/`, run as a reader would run them."""

import asyncio
import base64
import contextlib
import csv
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import time

import httpx
import pytest

from lib.client import Client
from lib.server import ROOT, Server, environment, until, wait_until

EXAMPLES = ROOT / "examples"


class Program:
    """An example as a process; what it says goes into a file, so that no pipe fills up."""

    def __init__(self, folder, name: str, *arguments: str, **variables: str):
        self.path = folder / f"{name}-{time.monotonic_ns()}.txt"
        self.process = subprocess.Popen(
            [EXAMPLES / name, *arguments], env=environment() | variables, cwd=folder, stdin=subprocess.PIPE,
            stdout=open(self.path, "wb"), stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self) -> str:
        return self.path.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 40) -> str:
        def said() -> bool:
            assert words in self.output or self.process.poll() is None, self.output
            return words in self.output

        try:
            wait_until(said, f"{words!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.output}") from None
        return self.output

    def has_left_nothing(self) -> bool:
        """Whether all processes that it began are gone."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(tmp_path, server: Server):
    started: list[Program] = []

    def run(name: str, *arguments: str, **variables: str) -> Program:
        program = Program(tmp_path, name, *arguments, **({"URL": server.recorded_url} | variables))
        started.append(program)
        return program

    yield run
    for program in started:
        program.kill()


@pytest.mark.parametrize("who_hangs_up", ["start", "join", "killed"])
def test_a_call_in_two_terminals(server, start, who_hangs_up):
    sides = {"join": start("call.sh", "join")}
    # Whoever comes first waits for the other.
    sides["join"].wait_for("looking for a call")
    sides["start"] = start("call.sh", "start")
    for side in sides.values():
        side.wait_for("connected")
    call = re.search(r"call_\w+", sides["start"].output)[0]
    if who_hangs_up == "killed":
        # Ctrl-C in a terminal.
        os.killpg(sides["join"].process.pid, signal.SIGINT)
        over = ["start"]
    else:
        sides[who_hangs_up].process.stdin.write(b"\n")
        sides[who_hangs_up].process.stdin.flush()
        over = list(sides)
    for name in over:
        assert "completed" in sides[name].wait_for("over after")
        assert sides[name].process.wait(20) == 0
        wait_until(sides[name].has_left_nothing, "no stream of it is left", 5)
        assert "curl:" not in sides[name].output
    record = asyncio.run(record_of(server, call))
    assert record["endReason"] == "completed" and record["connectedAt"]


async def record_of(server: Server, call: str) -> dict:
    async with await Client.sign_up(server) as client:
        await client.join_room("lobby")
        return await client.get(f"/v1/calls/{call}")


async def test_a_bot_that_is_killed_again_and_again_answers_everything_once(server, start, tmp_path):
    state = tmp_path / "bot.json"
    asked = 30
    async with await Client.sign_up(server, "asker") as client:
        await client.join_room("lobby")
        bot = start("room_bot.py", "--state", str(state))
        await asyncio.to_thread(bot.wait_for, "listens")
        expected = []
        for number in range(asked):
            await client.say("lobby", f"!gema {number}")
            expected.append(str(number))
            if number % 6 == 5:
                # In the middle of whatever it does; then what is said meanwhile waits in the log.
                bot.kill()
                await client.say("lobby", "!halo")
                expected.append(f"Halo, {client.user['displayName']}!")
                bot = start("room_bot.py", "--state", str(state))

        async def answers() -> list[str]:
            messages = await client.history("lobby")
            return [one["content"] for one in messages if one["user"] != client.id]

        async def answered() -> bool:
            return len(await answers()) >= len(expected)

        await until(answered, "all is answered", 40)
        assert await answers() == expected

        # The server goes away and comes back.
        await server.restart_after_kill()
        await client.say("lobby", "!gema lagi")
        expected.append("lagi")
        await until(answered, "it answers after the server's restart", 60)
        assert await answers() == expected
    assert state.stat().st_mode & 0o077 == 0, "it holds tokens"


async def test_webhooks_become_messages_each_delivery_once(server, start):
    async with await Client.sign_up(server, "hook", "kata sandi") as client:
        await client.join_room("lobby")
        key = await client.post("/v1/users/me/api-keys", {"name": "hook", "scopes": ["messages:write"]}, expect=201)
        program = start("webhook_to_room.py", "--port", "0", COMBLANG_TOKEN=key["key"])
        url = (await asyncio.to_thread(program.wait_for, "takes webhooks on")).split()[-1]
        async with httpx.AsyncClient(trust_env=False) as sender:
            for _ in range(3):
                answer = await sender.post(url, json={"text": "Build 42 failed"}, headers={"webhook-id": "msg_1"})
                assert answer.status_code == 204, program.output
            assert (await sender.post(url, content=b"plain text")).status_code == 204
            assert (await sender.post(url, json={"a": 1})).status_code == 204
            assert (await sender.post(url, content=b" ")).status_code == 422
            assert (await sender.post(url, content=b"x" * 300_000)).status_code == 413
            server.kill()
            assert (await sender.post(url, content=b"late", headers={"webhook-id": "msg_2"})).status_code == 503
            server.spawn()
            await asyncio.to_thread(server.wait_ready)
            assert (await sender.post(url, content=b"late", headers={"webhook-id": "msg_2"})).status_code == 204
        contents = [one["content"] for one in await client.history("lobby")]
        assert contents == ["Build 42 failed", "plain text", '{\n  "a": 1\n}', "late"]


async def test_a_webhook_with_a_secret_is_taken_only_with_its_signature(server, start):
    key = b"0123456789abcdef01234567"
    secret = "whsec_" + base64.b64encode(key).decode()
    async with await Client.sign_up(server, "hook") as client:
        await client.join_room("lobby")
        program = start("webhook_to_room.py", "--port", "0", COMBLANG_TOKEN=client.token, WEBHOOK_SECRET=secret)
        url = (await asyncio.to_thread(program.wait_for, "takes webhooks on")).split()[-1]

        def signed(body: bytes, at: int) -> dict:
            digest = hmac.new(key, f"msg_1.{at}.".encode() + body, hashlib.sha256).digest()
            signature = f"v1,AAAA v1,{base64.b64encode(digest).decode()}"
            return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}

        now = int(time.time())
        async with httpx.AsyncClient(trust_env=False) as sender:
            for body, headers, status in [
                (b"a", {}, 401), (b"b", signed(b"a", now), 401), (b"a", signed(b"a", now - 3600), 401),
                (b"a", signed(b"a", now), 204),
            ]:
                assert (await sender.post(url, content=body, headers=headers)).status_code == status, (body, headers)
        assert [one["content"] for one in await client.history("lobby")] == ["a"]


async def test_the_report_has_a_line_for_each_call_and_day(server, start, tmp_path):
    async with await Client.sign_up(server, "ani") as ani:
        await ani.patch("/v1/users/me", {"displayName": "=1+1"})
        room = (await ani.create_room())["id"]
        for _ in range(3):
            call = await ani.post(f"/v1/rooms/{room}/calls", {"media": {"audio": True, "video": True}}, expect=201)
            await ani.post(f"/v1/calls/{call['call']['id']}/leave")
        program = start("call_report.py", "--utc-offset", "+07:00", COMBLANG_TOKEN=server.admin_token)
        await asyncio.to_thread(program.wait_for, "3 calls in")
    with open(tmp_path / "calls.csv", encoding="utf-8-sig") as file:
        calls = list(csv.DictReader(file))
    with open(tmp_path / "days.csv", encoding="utf-8-sig") as file:
        days = list(csv.DictReader(file))
    assert {one["initiator"] for one in calls} == {"'=1+1"}, "a name is no formula"
    assert len(calls) == 3 and all(one["ended as"] == "cancelled" for one in calls), calls
    assert sum(int(one["calls"]) for one in days) == 3 and all(one["answered"] == "0" for one in days)


def test_scripts_are_clean_bash():
    subprocess.run(["bash", "-n", EXAMPLES / "call.sh"], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", EXAMPLES / "call.sh"], check=True)


def test_every_example_is_told_of_and_the_others_are_not():
    told = set(re.findall(r"\]\((\w+\.\w+)\)", (EXAMPLES / "README.md").read_text()))
    assert told == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".sh", ".py")}
