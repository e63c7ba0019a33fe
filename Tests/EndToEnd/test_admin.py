"""What admins do on the built server: cutting streams, suspending users, backing up under load and restoring."""

import asyncio
import json
import secrets
import sqlite3
import subprocess

import pytest

from conftest import SCALE
from lib.client import Client
from lib.ledger import Ledger, seq
from lib.server import Server, assert_one_line_error, comblang, until
from lib.wires import WIRES, Follower

WRITERS = 8
MESSAGES_BEFORE = round(600 * SCALE)


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess:
    return comblang(*arguments, "--url", server.url, data_dir=server.data, timeout=120)


async def connections(admin: Client, **query) -> list[dict]:
    return (await admin.get("/v1/admin/connections", params=query))["items"]


# MARK: Connections

@pytest.mark.parametrize("wire", WIRES)
async def test_an_admin_sees_each_reader_and_cuts_it(shared_server: Server, wire: str):
    """Each wire twice on one connection or by the router first: whatever lane a reader is on, it is listed and cut."""
    admin = Client.admin(shared_server)
    async with admin, await Client.sign_up(shared_server, "reader", "a password") as reader:
        seen: list[dict] = []
        follower = Follower(
            shared_server.port, reader.token, lambda event: seen.append(event) and False, device="tab-7", wait=30)
        follower.cursor = await reader.tail()
        for _ in range(2):
            following = asyncio.create_task(follower.follow(wire))
            (one,) = await until(lambda: connections(admin, user=reader.id), "the reader is listed")
            assert one["user"] == reader.id and one["username"] == reader.user["username"]
            assert one["transport"] == wire and one["device"].endswith(".tab-7")
            assert one["remoteAddress"] == "127.0.0.1" and one["scope"] == "user"
            await until(lambda: has_standing(admin, reader, 0), "it has everything")
            one = await until(lambda: cut(admin, reader), "it is cut")
            if wire == "poll":
                # The wait ends with nothing, and the client waits anew: on the express lane, from the second poll on.
                (other,) = await until(lambda: other_than(admin, reader, one["id"]), "the client polls again")
                assert other["transport"] == "poll"
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            else:
                assert await asyncio.wait_for(following, 5) == "end:cut"
                assert follower.control[-1]["data"]["retryAfterMs"] > 0
            await until(lambda: is_empty(admin, reader), "nobody reads any more")
            assert (await admin.request("DELETE", f"/v1/admin/connections/{one['id']}")).status_code == 404
        # Nothing was lost by being cut.
        room = (await reader.create_room())["id"]
        message = await reader.say(room, "after the cut")
        follower.sink = lambda event: event["type"] == "message.created" and event["data"]["id"] == message["id"]
        assert await asyncio.wait_for(follower.follow(wire), 10) == "done"
        cuts = (await admin.get("/v1/admin/audit", params={"action": "connections.cut", "limit": 200}))["items"]
        assert len([entry for entry in cuts if entry["remoteAddress"] == "127.0.0.1"]) >= 2


async def cut(admin: Client, reader: Client) -> dict | None:
    """Cuts the reader; `None` if its poll was answered meanwhile, by the news that the reader is online."""
    for one in await connections(admin, user=reader.id):
        answer = await admin.request("DELETE", f"/v1/admin/connections/{one['id']}")
        if answer.status_code == 204:
            return one
        assert answer.status_code == 404, answer.text
    return None


async def has_standing(admin: Client, reader: Client, lag: int) -> bool:
    found = await connections(admin, user=reader.id)
    return bool(found) and all(one["lag"] == lag and one["pendingBytes"] == 0 for one in found)


async def other_than(admin: Client, reader: Client, id: str) -> list[dict]:
    return [one for one in await connections(admin, user=reader.id) if one["id"] != id]


async def is_empty(admin: Client, reader: Client) -> bool:
    return not await connections(admin, user=reader.id)


async def test_connections_come_in_pages(shared_server: Server):
    async with Client.admin(shared_server) as admin, await Client.sign_up(shared_server) as reader:
        followers = [
            asyncio.create_task(Follower(shared_server.port, reader.token, lambda _: False, device=f"d{n}").follow("sse"))
            for n in range(5)
        ]
        await until(lambda: counted(admin, reader, 5), "all are listed")
        first = await admin.get("/v1/admin/connections", params={"user": reader.id, "limit": 3})
        rest = await admin.get("/v1/admin/connections", params={"user": reader.id, "limit": 3, "after": first["next"]})
        assert len(first["items"]) == 3 and len(rest["items"]) == 2 and rest["next"] is None
        assert len({one["device"] for one in first["items"] + rest["items"]}) == 5
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)


async def counted(admin: Client, reader: Client, count: int) -> bool:
    return len(await connections(admin, user=reader.id)) == count


# MARK: Suspension

async def test_suspension_ends_every_stream_at_once(shared_server: Server):
    async with Client.admin(shared_server) as admin, await Client.sign_up(shared_server, "siti", "a password") as siti:
        start = await siti.tail()
        followers = {
            wire: Follower(shared_server.port, siti.token, lambda _: False, cursor=start, device=wire, wait=30)
            for wire in WIRES
        }
        readings = {wire: asyncio.create_task(follower.follow(wire)) for wire, follower in followers.items()}
        await until(lambda: counted(admin, siti, len(WIRES)), "all read")
        result = await asyncio.to_thread(command, shared_server, "user", "suspend", f"@{siti.user['username']}")
        assert result.returncode == 0 and "yes" in result.stdout, result.stderr
        ended = dict(zip(readings, await asyncio.wait_for(asyncio.gather(*readings.values()), 2)))
        assert ended == {"sse": "end:revoked", "ndjson": "end:revoked", "websocket": "end:revoked", "poll": "refused:401"}
        assert (await siti.request("GET", "/v1/users/me")).status_code == 401
        signing_in = {"grant": "password", "username": siti.user["username"], "password": "a password"}
        refused = await siti.post("/v1/tokens", signing_in, expect=403)
        assert refused["type"] == "/problems/account-suspended"
        result = await asyncio.to_thread(command, shared_server, "user", "unsuspend", siti.id)
        assert result.returncode == 0, result.stderr
        await siti.post("/v1/tokens", signing_in)


def test_the_last_admin_is_told_in_one_line(shared_server: Server):
    for arguments in (("user", "suspend", "me"), ("user", "role", "me", "user")):
        assert_one_line_error(command(shared_server, *arguments), "admin")


# MARK: Backups

async def write_until(stopping: asyncio.Event, client: Client, room: str, ledger: Ledger) -> None:
    while not stopping.is_set():
        ledger.acknowledge(await client.say(room, f"halo {secrets.token_hex(8)}"))


async def back_up(admin: Client) -> dict:
    """Makes a backup and returns it when it is done."""
    made = await admin.post("/v1/admin/backups", expect=201)

    async def over():
        backup = await admin.get(f"/v1/admin/backups/{made['id']}")
        return backup if backup["state"] != "running" else None

    backup = await until(over, "the backup is done", 60)
    assert backup["state"] == "done", backup
    return backup


def check_database(path) -> list[str]:
    """SQLite's own opinion, and ours of what must agree; returns the ids of all messages."""
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.execute("INSERT INTO messageFts (messageFts) VALUES ('integrity-check')")
        messages = database.execute("SELECT seq, id FROM message ORDER BY seq").fetchall()
        indexed = database.execute("SELECT rowid FROM messageFts WHERE messageFts MATCH 'halo' ORDER BY rowid").fetchall()
        assert [row[0] for row in indexed] == [row[0] for row in messages], "messages and search index differ"
        logged = database.execute(
            "SELECT message.seq FROM message JOIN event ON event.seq = message.seq AND event.message = message.id "
            "ORDER BY message.seq").fetchall()
        assert [row[0] for row in logged] == [row[0] for row in messages], "messages and log differ"
        (tail,) = database.execute("SELECT tail FROM meta").fetchone()
        assert database.execute("SELECT max(seq) FROM event").fetchone() == (tail,)
        return [row[1] for row in messages]
    finally:
        database.close()


async def test_a_backup_under_load_restores_and_old_cursors_are_told(server: Server, tmp_path):
    ledger, before = Ledger(), {}
    reader = await Client.sign_up(server, "reader", "a password")
    room = (await reader.create_room())["id"]
    writers = [await Client.sign_up(server, f"writer{n}", checked=False) for n in range(WRITERS)]
    for writer in writers:
        await writer.join_room(room)
    stopping = asyncio.Event()
    writing = [asyncio.create_task(write_until(stopping, writer, room, ledger)) for writer in writers]
    await until(lambda: len(ledger) >= MESSAGES_BEFORE, "messages are written", 60)
    async with Client.admin(server) as admin:
        before = set(ledger.content)
        backup = await back_up(admin)
        assert len(ledger) > len(before), "nothing was written meanwhile: the test shows nothing"
    stopping.set()
    await asyncio.gather(*writing)
    lost = await reader.say(room, "halo after the backup")
    old = await reader.tail()
    file = server.data / "backups" / backup["file"]
    assert file.stat().st_mode & 0o777 == 0o600 and file.stat().st_size == backup["bytes"]

    # Not while somebody uses the directory.
    assert_one_line_error(comblang("restore", str(file), data_dir=server.data), "in use")
    assert server.stop() == 0
    result = comblang("restore", backup["file"], data_dir=server.data)
    assert result.returncode == 0 and result.stdout.startswith(f"restored {backup['file']}"), result.stderr
    restored = check_database(server.data / "comblang.sqlite")
    assert before <= set(restored), "something acknowledged before the backup is missing"
    assert set(restored) <= set(ledger.content), "there is something that was never acknowledged"
    (aside,) = server.data.glob("comblang-replaced-*.sqlite")
    assert lost["id"] in check_database(aside)
    assert not [path.name for path in server.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]

    server.start()
    history = await reader.history(room)
    assert [message["id"] for message in history] == restored
    for message in history:
        assert ledger.content[message["id"]] == message["content"]
    gone = await reader.get("/v1/events", expect=410, params={"after": old, "wait": 0})
    assert gone["type"] == "/problems/cursor-expired"
    assert gone["cursor"].split(".")[0] != old.split(".")[0] and seq(gone["cursor"]) < seq(old)
    for wire in ("sse", "ndjson", "websocket"):
        follower = Follower(server.port, reader.token, lambda event: True, cursor=old, expects_gap=True)
        following = asyncio.create_task(follower.follow(wire))
        await until(lambda: len(follower.control) >= 2, "the stream has begun")
        ready, gap = follower.control[:2]
        assert not ready["data"]["resumed"] and gap["type"] == "stream.gap"
        assert gap["data"]["requested"] == old and gap["data"]["cursor"].startswith(gone["cursor"].split(".")[0])
        await reader.say(room, f"halo from the new log by {wire}")
        assert await asyncio.wait_for(following, 10) == "done"

    # The new admin token is good, and what is listed is what is there.
    async with Client.admin(server) as admin:
        (listed,) = (await admin.get("/v1/admin/backups"))["items"]
        assert listed["id"] == backup["id"] and listed["state"] == "done" and listed["bytes"] == backup["bytes"]
        (entry,) = (await admin.get("/v1/admin/audit", params={"action": "backups.restore"}))["items"]
        assert entry["parameters"] == {"file": backup["file"]}
    for client in (reader, *writers):
        await client.http.aclose()


def test_backups_by_the_command_line(server: Server):
    made = command(server, "backup")
    assert made.returncode == 0 and made.stdout.startswith("backups/comblang-"), made.stderr
    (again,) = [json.loads(line) for line in command(server, "backup", "create", "--json").stdout.splitlines()]
    assert again["state"] == "done" and again["bytes"] > 0
    listed = [json.loads(line) for line in command(server, "backup", "list", "--json").stdout.splitlines()]
    assert [backup["id"] for backup in listed][0] == again["id"] and len(listed) == 2
    assert "done" in command(server, "backup", "list").stdout
    server.stop()
    for file in (server.data / "admin-token", server.data / "nothing"):
        assert_one_line_error(comblang("restore", str(file), data_dir=server.data))
    assert server.start().is_running()


async def test_a_backup_survives_a_kill_of_its_server(server: Server):
    """What was under way is noted as failed by the next start, and leaves no file."""
    async with Client.admin(server) as admin:
        for round in range(max(3, int(3 * SCALE))):
            answer = await admin.request("POST", "/v1/admin/backups", {})
            await server.restart_after_kill()
            assert answer.status_code == 201
            backup = await until(lambda: settled(admin, answer.json()["id"]), "the next start has settled it")
            assert backup["state"] in ("done", "failed")
        files = {path.name for path in (server.data / "backups").iterdir()} if (server.data / "backups").exists() else set()
        listed = (await admin.get("/v1/admin/backups"))["items"]
        assert files == {backup["file"] for backup in listed if backup["state"] == "done"}


async def settled(admin: Client, id: str) -> dict | None:
    backup = await admin.get(f"/v1/admin/backups/{id}")
    return backup if backup["state"] != "running" else None
