"""A full disk: writes are refused with 503 and leave nothing, reading goes on, and room on the disk is all it takes."""

import subprocess

import pytest

from lib.client import Client
from lib.server import Server, until

MESSAGE_CHARACTERS = 20_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_refuses_writes_and_loses_nothing(small_disk, tmp_path):
    server = Server(small_disk)
    server.log = tmp_path / "server.log"
    try:
        server.start()
        async with await Client.sign_up(server) as client:
            room = (await client.create_room())["id"]
            path = f"/v1/rooms/{room}/messages"
            start = await client.tail()
            written: list[str] = []

            async def write() -> int:
                answer = await client.request("POST", path, {"content": "x" * MESSAGE_CHARACTERS})
                if answer.status_code == 201:
                    written.append(answer.json()["id"])
                return answer.status_code

            while (status := await write()) == 201:
                assert len(written) < 1000
            assert status == 503
            for _ in range(20):
                answer = await client.request("POST", path, {"content": "x" * MESSAGE_CHARACTERS})
                assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
                assert answer.json()["type"] == "/problems/unavailable"
            assert [message["id"] for message in await client.history(room)] == written

            subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)

            async def is_written() -> bool:
                return await write() == 201

            await until(is_written, "writing goes on when there is room again")
            assert [message["id"] for message in await client.history(room)] == written
            logged = [event["data"]["id"] for event in await client.log(after=start, types="message.*")]
            assert logged == written
        assert server.stop() == 0
    finally:
        server.discard()
