"""`comblang serve` as somebody at a terminal meets them."""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from contextlib import closing

import httpx
import pytest

from lib.client import Client
from lib.server import EXIT_SECONDS_MAX, Server, assert_one_line_error, comblang, until, wait_until
from lib.wires import WIRES, Follower


def serve(directory, *arguments: str, **settings) -> subprocess.CompletedProcess:
    """A `serve` that is expected to give up."""
    return comblang("serve", "--port", "0", "--data-dir", str(directory), *arguments, **settings)


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = comblang("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
        assert_one_line_error(result, str(port))


def test_a_served_data_directory_is_refused(server: Server):
    assert_one_line_error(serve(server.data), str(server.data))
    assert_one_line_error(comblang("migrate", "--data-dir", str(server.data)), str(server.data))
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_of_two_that_start_at_once_one_serves(server_factory, tmp_path):
    for _ in range(5):
        first, second = server_factory(), server_factory()
        second.data = first.data
        for server in (first, second):
            server.spawn()

        def is_settled() -> bool:
            return sum(server.is_running() for server in (first, second)) == 1

        wait_until(is_settled, "one of the two gives up")
        winner, loser = (first, second) if first.is_running() else (second, first)
        winner.wait_ready()
        assert loser.process.returncode > 0 and str(first.data) in loser.output(), loser.output()
        winner.kill()


def test_an_unwritable_data_directory_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    assert_one_line_error(serve(tmp_path / "file"), str(tmp_path / "file"))
    assert_one_line_error(serve(tmp_path / "file" / "data"), str(tmp_path / "file"))
    # Root writes everywhere but where the kernel itself says no.
    assert_one_line_error(serve("/proc/comblang"), "/proc/comblang")
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        assert_one_line_error(serve(locked), str(locked))


def database_of(server: Server):
    return next(path for path in server.data.iterdir()
                if path.is_file() and path.read_bytes()[:16] == b"SQLite format 3\0")


def content_of(database) -> list[str]:
    """Every table and row as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def test_a_database_of_a_newer_version_is_left_alone(server: Server):
    server.stop()
    path = database_of(server)
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    (table,) = [name for name in tables if "migration" in name.lower()]
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    last = dict(zip(columns, connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid DESC').fetchone()))
    newer = {
        name: "9999_of_the_future" if isinstance(value, str)
        else value + 9998 if isinstance(value, int) and value < 9999 else value
        for name, value in last.items()
    }
    marks = ", ".join("?" * len(columns))
    connection.execute(f'INSERT INTO "{table}" VALUES ({marks})', [newer[name] for name in columns])
    connection.commit()
    connection.close()
    before = content_of(path)
    assert_one_line_error(serve(server.data), "newer")
    assert_one_line_error(comblang("migrate", "--data-dir", str(server.data)), "newer")
    assert content_of(path) == before


def test_what_is_no_database_is_one_clear_line(server: Server):
    server.stop()
    path = database_of(server)
    for other in server.data.glob(path.name + "-*"):
        other.unlink()
    path.write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    assert_one_line_error(serve(server.data), str(server.data))


@pytest.mark.parametrize("arguments, settings, words", [
    (("--port", "99999"), {}, ("port",)),
    (("--port", "http"), {}, ("port",)),
    ((), {"heartbeat_seconds": "soon"}, ("heartbeat",)),
    ((), {"stream_rotate_seconds": "-1"}, ("rotate",)),
    ((), {"port": "0", "log_level": "loud"}, ("log",)),
    (("--host", "nobody.invalid"), {}, ("nobody.invalid",)),
], ids=lambda value: "-".join(value) if isinstance(value, tuple) else None)
def test_a_bad_setting_is_named(tmp_path, arguments, settings, words):
    result = comblang("serve", "--data-dir", str(tmp_path / "data"), *arguments, **settings)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    # A flag that cannot be read at all also shows the usage, as every command line does.
    assert any(word in lines[0].lower() for word in words), result.stderr
    assert "Fatal error" not in result.stderr


def test_the_first_start_makes_secrets_nobody_else_reads_and_says_what_to_do(server: Server):
    files = {path.name: path for path in server.data.iterdir()}
    assert "admin-token" in files
    for name, path in files.items():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == 0o600, f"{name} has mode {mode:o}"
    assert stat.S_IMODE(server.data.stat().st_mode) & 0o077 == 0, "others may enter the data directory"
    assert server.admin_token not in server.output(), "the token is in the log"
    # The advice is a line that works when pasted.
    advice = [line.strip() for line in server.output().splitlines() if "curl " in line]
    assert advice, server.output()
    for line in advice:
        command = line[line.index("curl "):]
        result = subprocess.run(
            ["bash", "-c", f"{command} --fail --max-time 5"], capture_output=True, text=True, cwd=server.data.parent,
            timeout=30)
        # 28 is curl's time-out: a stream goes on for ever.
        assert result.returncode in (0, 28), f"{command}: {result.returncode} {result.stdout} {result.stderr}"
        assert result.stdout, command


def test_a_later_start_keeps_the_secret_and_the_admin_token(server: Server):
    token = server.admin_token
    assert server.stop() == 0
    server.start()
    assert server.admin_token == token
    answer = httpx.get(f"{server.url}/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200 and answer.json()["role"] == "admin"


async def test_sigterm_drains_every_wire_and_exits_in_time(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        cursor = await client.tail()
        followers = {
            wire: Follower(server.port, client.token, lambda event: None, cursor=cursor, device=wire)
            for wire in WIRES}
        following = {wire: asyncio.create_task(follower.follow(wire)) for wire, follower in followers.items()}
        await until(
            lambda: all(follower.control for wire, follower in followers.items() if wire != "poll"), "streams are open")
        last = await client.say(room, "before the end")

        start = time.monotonic()
        server.terminate()
        await until(lambda: is_unready(server), "it is unready while it drains, or gone", 5)
        async with asyncio.timeout(EXIT_SECONDS_MAX):
            reasons = {wire: await task for wire, task in following.items()}
        code = await asyncio.to_thread(server.process.wait, EXIT_SECONDS_MAX)
        assert code == 0, server.output()[-2000:]
        assert time.monotonic() - start < EXIT_SECONDS_MAX
        for wire in ("sse", "ndjson", "websocket"):
            assert reasons[wire] == "end:drain", reasons
            (end,) = [event for event in followers[wire].control if event["type"] == "stream.end"]
            assert end["data"]["retryAfterMs"] > 0
        assert reasons["poll"] in ("closed", "refused:503"), reasons

        # The log was closed properly, and everything is there.
        assert not [path for path in server.data.iterdir() if path.name.endswith("-wal") and path.stat().st_size]
        await asyncio.to_thread(server.start)
        assert [message["id"] for message in await client.history(room)] == [last["id"]]


async def is_unready(server: Server) -> bool:
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{server.url}/readyz", timeout=5)).status_code == 503
    except httpx.TransportError:
        return True


async def test_a_write_under_way_at_sigterm_is_answered_or_did_not_happen(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        acknowledged: list[str] = []

        async def write(number: int) -> None:
            for index in range(10_000):
                try:
                    answer = await client.request("POST", f"/v1/rooms/{room}/messages", {"content": f"{number}-{index}"})
                except httpx.TransportError:
                    return
                if answer.status_code != 201:
                    assert answer.status_code == 503, answer.text
                    return
                acknowledged.append(answer.json()["id"])

        writing = [asyncio.create_task(write(number)) for number in range(8)]
        await until(lambda: len(acknowledged) > 50, "some messages")
        assert await asyncio.to_thread(server.stop) == 0
        await asyncio.gather(*writing)
        await asyncio.to_thread(server.start)
        there = {message["id"] for message in await client.history(room)}
        assert set(acknowledged) <= there
        assert len(there) <= len(acknowledged) + 8


def test_a_second_signal_exits_at_once(server: Server):
    async def prepare():
        async with await Client.sign_up(server) as client:
            return client.token

    token = asyncio.run(prepare())
    # An open stream gives the drain something to wait for.
    with httpx.stream("GET", f"{server.url}/v1/events/stream", headers={"Authorization": f"Bearer {token}"}) as stream:
        assert stream.status_code == 200
        server.terminate()
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(EXIT_SECONDS_MAX)
        assert time.monotonic() - start < 5


def test_migrate_makes_a_database_that_serves(server_factory):
    server: Server = server_factory()
    assert comblang("migrate", "--data-dir", str(server.data)).returncode == 0
    assert comblang("migrate", "--data-dir", str(server.data)).returncode == 0, "migrating twice failed"
    server.start()
    assert server.stop() == 0


def test_help_and_version(tmp_path):
    for arguments in (("--help",), ("serve", "--help"), ("--version",)):
        result = comblang(*arguments)
        assert result.returncode == 0 and result.stdout.strip(), arguments
    assert comblang("frobnicate").returncode != 0


def test_a_copied_data_directory_serves_elsewhere(server: Server, tmp_path):
    """Nothing in it names the place it came from."""
    server.stop()
    copy = Server(tmp_path / "copy")
    shutil.copytree(server.data, copy.data)
    try:
        copy.start()
        assert copy.admin_token == server.admin_token
    finally:
        copy.discard()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.yaml", "/openapi.json", "/metrics", "/problems/not-found"])
def test_operations_need_no_credentials(server: Server, path: str):
    answer = httpx.get(server.url + path)
    assert answer.status_code == 200 and answer.content and answer.headers["x-request-id"]


def test_logs_show_no_secrets(server: Server):
    async def talk() -> list[str]:
        async with await Client.sign_up(server, "ani", "kata sandi rahasia") as ani:
            room = (await ani.create_room())["id"]
            await ani.say(room, "pesan pribadi")
            ticket = await ani.post("/v1/stream-tickets", expect=201)
            follower = Follower(server.port, ani.token, lambda event: True, cursor=await ani.tail())
            await ani.http.get(f"/v1/events?ticket={ticket['ticket']}")
            await ani.say(room, "pesan lagi")
            await follower.follow("sse")
            return [ani.token, ani.tokens["refreshToken"], ticket["ticket"], "kata sandi rahasia", "pesan pribadi"]

    server.stop()
    server.settings = {"log_level": "trace"}
    server.start()
    secrets = asyncio.run(talk())
    server.stop()
    assert server.output(), "there is no log"
    for secret in secrets:
        assert secret not in server.output(), f"the log shows {secret[:12]}…"
