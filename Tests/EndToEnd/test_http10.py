"""Clients of HTTP/1.0, as `curl -0` is one: no chunks, and the end of an answer is the end of its connection (RFC 9112,
6.1 and 9.3)."""

import json
import re
import subprocess

import pytest

from lib.calls import pair, start
from lib.client import Client
from lib.raw_http import connect, head, read_answer
from lib.server import Server


class Reader:
    """The answer to one request of HTTP/1.0, byte by byte as it comes."""

    def __init__(self, server: Server, method: str, target: str, headers: dict, body: bytes = b""):
        self.sock = connect(server)
        self.sock.sendall(head(f"{method} {target} HTTP/1.0", headers) + body)
        self.received = b""

    def until(self, pattern: str) -> str:
        """What has come, once it has `pattern`."""
        while not re.search(pattern, self.received.decode()):
            data = self.sock.recv(65536)
            assert data, f"the connection ended before {pattern!r}: {self.received!r}"
            self.received += data
        return self.received.decode()

    def to_the_end(self) -> tuple[int, dict[str, str], str]:
        """Status, fields and body, once the server has closed the connection."""
        with self.sock:
            while data := self.sock.recv(65536):
                self.received += data
        return self.answer()

    def answer(self) -> tuple[int, dict[str, str], str]:
        top, body = self.received.decode().split("\r\n\r\n", 1)
        status, *fields = top.split("\r\n")
        fields = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        assert "transfer-encoding" not in fields and fields["connection"] == "close", fields
        return int(status.split()[1]), fields, body


@pytest.mark.parametrize("keep", [{}, {"Connection": "keep-alive"}])
def test_a_whole_answer_ends_its_connection(server: Server, keep: dict):
    status, fields, body = Reader(server, "GET", "/readyz", keep).to_the_end()
    assert status == 200 and len(body) == int(fields["content-length"])
    status, fields, body = Reader(server, "GET", "/v1/rooms", keep).to_the_end()
    assert status == 401 and json.loads(body)["status"] == 401 and len(body) == int(fields["content-length"])


@pytest.mark.parametrize("format, first", [("sse", "id: "), ("ndjson", "{")])
async def test_a_stream_comes_without_chunks_and_ends_its_connection(server: Server, format: str, first: str):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        reader = Reader(server, "GET", f"/v1/events/stream?format={format}", client.headers())
        reader.until("stream.ready")
        await client.say(room, "halo")
        reader.until("message.created")
        assert server.stop() == 0
        status, fields, body = reader.to_the_end()
        assert status == 200 and "content-length" not in fields
        assert body.startswith(first) and "stream.end" in body and body.endswith("\n")
        data = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith(("data: ", "{"))]
        assert [json.loads(line)["type"] for line in data][-1] == "stream.end"


@pytest.mark.parametrize("format", ["ndjson", "csv"])
async def test_an_export_comes_without_chunks_and_ends_its_connection(server: Server, format: str):
    async with pair(server) as (ani, budi, room):
        for _ in range(3):
            await ani.post(f"{await start(ani, room, [budi])}/end")
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    status, _, body = Reader(server, "GET", f"/v1/admin/calls/export?format={format}", headers).to_the_end()
    lines = body.splitlines()
    assert status == 200 and len(lines) == (3 if format == "ndjson" else 4)
    if format == "ndjson":
        assert all(json.loads(line)["endReason"] for line in lines)
    else:
        assert lines[0].startswith("id,")


async def test_a_poll_and_a_message_are_answered_whole(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        # Its token is known by now, so the express lane would take these if they were of HTTP/1.1.
        data = b'{"content": "halo"}'
        headers = client.headers() | {"Content-Type": "application/json", "Content-Length": str(len(data))}
        status, fields, _ = Reader(server, "POST", f"/v1/rooms/{room}/messages", headers, data).to_the_end()
        assert status == 201 and fields["event-cursor"]
        status, _, body = Reader(server, "GET", "/v1/events?after=earliest", client.headers()).to_the_end()
        assert status == 200 and json.loads(body)["events"][-1]["data"]["content"] == "halo"


async def test_a_connection_goes_on_up_to_its_first_request_of_http_1_0(server: Server):
    async with await Client.sign_up(server) as client:
        room = (await client.create_room())["id"]
        data = b'{"content": "halo"}'
        post = head(f"POST /v1/rooms/{room}/messages HTTP/1.1", client.headers(), Content_Length=str(len(data))) + data
        get, last = head("GET /readyz HTTP/1.1"), head("GET /v1/nothing HTTP/1.0", client.headers())
    created, ok, missing = ("1.1", "201"), ("1.1", "200"), ("1.0", "404")
    # What comes behind the last one is not answered.
    for sent, expected in ((post + get + last, [created, ok, missing]), (get + last + get, [ok, missing])):
        with connect(server) as sock:
            sock.sendall(sent)
            received = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        assert re.findall(r"HTTP/(1\.\d) (\d+)", received) == expected, received
        before, answer = received.lower().split("http/1.0")
        assert "connection: close" not in before and "connection: close" in answer


def test_a_client_that_says_close_is_told_so(server: Server):
    with connect(server) as sock:
        sock.sendall(head("GET /readyz HTTP/1.1", Connection="Close"))
        status, fields, _ = read_answer(sock)
        assert status == 200 and fields["connection"] == "close" and sock.recv(1) == b""


def test_curl_reads_a_stream_by_http_1_0(server: Server):
    curl = ["curl", "--http1.0", "--silent", "--show-error", "--no-buffer", "--include"]
    token = f"Authorization: Bearer {server.admin_token}"
    with subprocess.Popen(
            [*curl, "-H", token, f"{server.url}/v1/events/stream"], stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert any("stream.ready" in line for line in lines)
        assert server.stop() == 0
        assert any("stream.end" in line for line in lines)
    assert process.returncode == 0
