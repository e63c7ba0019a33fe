"""API keys, rate limits and registration of the built server, as scripts and operators meet them."""

import asyncio
import json
import subprocess
import time

import httpx
import pytest

from lib.client import Client
from lib.server import BINARY, Server, assert_one_line_error, environment
from test_commands import Command

pytestmark = pytest.mark.anyio


def curl(*arguments: str) -> tuple[int, str]:
    result = subprocess.run(
        ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *arguments], capture_output=True, text=True, check=True)
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


def test_a_script_lives_on_a_key_made_at_the_command_line(server: Server):
    admin = Command(server)
    (siti,) = admin.json("user", "create", "siti")
    owner = Command(server, siti["accessToken"])
    owner("room", "create", "kelas")
    (made,) = owner.json("token", "key", "create", "bot", "--scope", "messages:write", "--scope", "events:read")
    bearer = f"Authorization: Bearer {made['key']}"
    url = f"{server.url}/v1/rooms/kelas"
    assert curl(f"{url}/messages", "-H", bearer, "-d", '{"content":"halo"}')[0] == 201
    status, body = curl(f"{url}/events?after=earliest&wait=0&types=message.created", "-H", bearer)
    assert status == 200 and [event["data"]["content"] for event in json.loads(body)["events"]] == ["halo"]
    status, body = curl(f"{url}/messages", "-H", bearer)
    assert status == 403 and json.loads(body)["type"] == "/problems/insufficient-scope"
    assert made["key"] not in server.output()
    bot = Command(server, made["key"])
    assert "sign in" in bot("token", "key", "list", ok=False)
    (listed,) = owner.json("token", "key", "list")
    assert listed["id"] == made["id"] and "key" not in listed and listed["lastUsedAt"]
    owner("token", "key", "delete", made["id"])
    assert curl(f"{url}/messages", "-H", bearer, "-d", '{"content":"lagi"}')[0] == 401


async def test_streams_of_a_key_end_with_it_on_both_lanes(server: Server):
    async with await Client.sign_up(server, "owner") as owner:
        made = await owner.post(
            "/v1/users/me/api-keys", {"name": "bot", "scopes": ["events:read", "users:read"]}, expect=201)
        bot = Client(server, {"accessToken": made["key"]})
        ends = []

        async def read():
            async with bot.http.stream("GET", "/v1/events/stream", headers=bot.headers()) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data:"):
                        event = json.loads(line[5:])
                        if event["type"] == "stream.ready":
                            ready.release()
                        if event["type"] == "stream.end":
                            ends.append(event["data"]["reason"])

        ready = asyncio.Semaphore(0)
        # The first comes to the router, which does not know the key yet, later ones to the express lane.
        readers = []
        for _ in range(3):
            readers.append(asyncio.create_task(read()))
            await asyncio.wait_for(ready.acquire(), 10)
        ticket = (await bot.post("/v1/stream-tickets", expect=201))["ticket"]
        started = time.monotonic()
        await owner.delete(f"/v1/users/me/api-keys/{made['id']}")
        await asyncio.wait_for(asyncio.gather(*readers), 10)
        assert time.monotonic() - started < 5
        assert ends == ["revoked"] * 3
        assert (await bot.request("GET", "/v1/users/me")).status_code == 401
        async with httpx.AsyncClient() as anonymous:
            refused = await anonymous.get(f"{server.url}/v1/events/stream", params={"ticket": ticket})
            assert refused.status_code == 401
        await bot.http.aclose()


async def test_keys_last_across_a_restart(server: Server):
    async with await Client.sign_up(server, "owner") as owner:
        made = await owner.post("/v1/users/me/api-keys", {"name": "bot", "scopes": ["users:read"]}, expect=201)
    await server.restart_after_kill()
    async with Client(server, {"accessToken": made["key"]}) as bot:
        assert (await bot.get("/v1/users/me"))["id"] == owner.id


async def test_posts_are_limited_by_user_whatever_lane_they_take(server_factory):
    server = server_factory(rate_limits="true", rate_messages="20/3600", rate_sign_ups="off").start()
    async with await Client.sign_up(server, "siti") as siti, await Client.sign_up(server, "budi") as budi:
        room = (await siti.create_room())["id"]
        await budi.join_room(room)
        lefts = []
        for _ in range(20):
            answer = await siti.request("POST", f"/v1/rooms/{room}/messages", {"content": "x"})
            assert answer.status_code == 201
            lefts.append(answer.headers["ratelimit"])
        assert [left.split(";")[1] for left in lefts] == [f"r={left}" for left in range(19, -1, -1)]
        assert answer.headers["ratelimit-policy"] == '"messages";q=20;w=3600'
        for _ in range(5):
            refused = await siti.request("POST", f"/v1/rooms/{room}/messages", {"content": "x"})
            assert refused.status_code == 429 and refused.json()["type"] == "/problems/rate-limited"
            assert 1 <= int(refused.headers["retry-after"]) <= 180
        await budi.say(room, "not me")
        assert len(await budi.history(room)) == 21


async def test_repeated_polls_are_limited_too(server_factory):
    server = server_factory(rate_limits="true", rate_events="10/3600").start()
    async with await Client.sign_up(server, "siti") as siti:
        cursor = (await siti.get("/v1/events"))["cursor"]
        statuses = []
        for _ in range(12):
            answer = await siti.request("GET", "/v1/events", params={"after": cursor, "wait": 1, "types": "typing"})
            statuses.append(answer.status_code)
            if answer.status_code != 200:
                break
        assert statuses == [200] * 9 + [429]


def test_a_server_for_everybody_needs_to_be_told_so(tmp_path):
    def serve(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [BINARY, "serve", "--port", "0", "--data-dir", str(tmp_path / "none"), *arguments],
            env=environment(), capture_output=True, text=True, timeout=30)

    assert_one_line_error(serve("--host", "0.0.0.0"), "registration", "--allow-open-registration")
    assert not (tmp_path / "none").exists()
    assert_one_line_error(serve("--registration", "maybe"), "registration", "open, invite, closed")
    assert_one_line_error(serve("--rate-reads", "many"), "rateReads", "600/60")
    assert_one_line_error(serve("--trusted-proxies", "nginx"), "trustedProxies")
    assert_one_line_error(serve("--rate-limits", "no-thanks"), "rateLimits")
    for arguments in (("--registration", "invite"), ("--allow-open-registration", "true")):
        process = subprocess.Popen(
            [BINARY, "serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "some"), *arguments],
            env=environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline().startswith("listening on http://0.0.0.0:")
        finally:
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0


def test_invites_at_the_command_line(server_factory):
    server = server_factory(registration="invite").start()
    admin = Command(server)
    assert "invite" in admin("user", "create", "siti", ok=False)
    code = admin("user", "invite", "create", "--uses", "1", "--note", "kelas 7b").strip()
    assert code.startswith("cbi_") and "kelas 7b" in admin("user", "invite", "list")
    (siti,) = admin.json("user", "create", "siti", "--invite", code)
    assert "used up" in admin("user", "create", "budi", "--invite", code, ok=False)
    (budi,) = admin.json("user", "create", "budi", "--as-admin")
    assert siti["user"]["kind"] == budi["user"]["kind"] == "guest"
    assert code not in server.output()
