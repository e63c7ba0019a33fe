"""What no well-meaning client sends: it does no harm, and where there is an answer, it is problem+json."""

import http.client
import json
import random
import socket
import subprocess
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from conftest import SCALE
from lib.raw_http import assert_answers_others, assert_refused, connect, exchange, head, read_answer
from lib.server import Server


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.mark.parametrize("form", ["one header", "many headers", "request line"])
def test_ten_megabytes_of_head_are_refused(server: Server, harmless, form: str):
    size = 10 << 20
    if form == "one header":
        data = head("GET /readyz HTTP/1.1", X_Big="a" * size)
    elif form == "many headers":
        data = head("GET /readyz HTTP/1.1", {f"X-Big-{number}": "a" * 1000 for number in range(size // 1000)})
    else:
        data = head(f"GET /readyz?{'a' * size} HTTP/1.1")
    resident = server.resident_bytes()
    answer = exchange(server, data)
    assert_refused(answer)
    assert server.resident_bytes() < resident + (64 << 20)


@pytest.mark.parametrize("data", [
    b"GET /v1/rooms HT", b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ", b"", b"\r\n",
    b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user",
    b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{",
], ids=["line", "header", "nothing", "blank", "body", "chunk"])
def test_half_a_request_that_vanishes_does_nothing(server: Server, harmless, data: bytes):
    for reset in (False, True):
        for _ in range(20):
            with connect(server) as sock:
                sock.sendall(data)
                if reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            assert_answers_others(server)


def test_a_client_that_vanishes_in_its_body_writes_nothing(server: Server, member, harmless):
    headers, room = member
    body = json.dumps({"content": "half"}).encode()
    for cut in range(1, len(body)):
        with connect(server) as sock:
            sock.sendall(
                head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length=str(len(body))) + body[:cut])
    answer = httpx.get(f"{server.url}/v1/rooms/{room}/messages", headers=headers)
    assert answer.json()["items"] == []


def test_curl_with_http2_in_clear_text_is_answered(server: Server, harmless):
    # curl asks to upgrade on the first request and keeps the connection for the second.
    result = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "10", "--http2", "--write-out", "%{http_code}\n", "--output",
         "/dev/null", f"{server.recorded_url}/readyz", "--output", "/dev/null", f"{server.recorded_url}/healthz"],
        capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["200", "200"]


def test_curl_with_prior_knowledge_of_http2_fails_at_once(server: Server, harmless):
    start = time.monotonic()
    result = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "10", "--http2-prior-knowledge", f"{server.url}/readyz"],
        capture_output=True, text=True, timeout=30)
    assert result.returncode not in (0, 28), "28 is a time-out: the client was left waiting"
    assert time.monotonic() - start < 8


def test_post_with_an_upgrade_header_is_answered(server: Server, member, harmless):
    headers, room = member
    for upgrade in ("h2c", "websocket", "TLS/1.0, HTTP/2.0"):
        body = json.dumps({"content": f"with {upgrade}"}).encode()
        answer = exchange(
            server, head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Connection="Upgrade", Upgrade=upgrade,
                         Content_Length=str(len(body))) + body, "POST")
        assert answer is not None and answer[0] == 201, (upgrade, answer)


def test_pipelined_requests_are_answered_in_order(server: Server, member, harmless):
    headers, room = member
    count = 50
    data = b""
    for number in range(count):
        body = json.dumps({"content": f"number {number}"}).encode()
        data += head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length=str(len(body))) + body
        data += head("GET /nothing HTTP/1.1", headers)
    with connect(server) as sock:
        sock.sendall(data)
        file = sock.makefile("rb")
        for number in range(count):
            for expected in (201, 404):
                status = int(file.readline().split()[1])
                headers = http.client.parse_headers(file)
                content = file.read(int(headers["content-length"]))
                sock.answered(status, headers.items(), content)
                body = json.loads(content)
                assert status == expected
                assert status == 404 or body["content"] == f"number {number}"


@pytest.mark.parametrize("data", [
    head("POST /v1/users HTTP/1.1", Content_Length="2", Transfer_Encoding="chunked") + b"0\r\n\r\n{}",
    head("POST /v1/users HTTP/1.1", Content_Length="-1") + b"{}",
    head("POST /v1/users HTTP/1.1", Content_Length="two") + b"{}",
    b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    head("POST /v1/users HTTP/1.1", Transfer_Encoding="chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    head("POST /v1/users HTTP/1.1", Transfer_Encoding="chunked") + b"ffffffffffffffffff\r\n{}",
    b"GET /readyz HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    b"GET /readyz HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", b"\0" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=["length and chunked", "negative length", "word length", "two lengths", "bad chunk", "huge chunk", "version",
        "no target", "TLS", "header name", "NULs", "HTTP/2 preface"])
def test_what_is_not_http_is_refused(server: Server, harmless, data: bytes):
    with connect(server) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert_refused(read_answer(sock))
    assert_answers_others(server)


def test_random_bytes_do_no_harm(server: Server, member, harmless, seed: int):
    headers, room = member
    generator = random.Random(seed)
    body = json.dumps({"content": "x", "metadata": {"a": [1, 2.5, None, True, "é"]}}).encode()
    good = head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length=str(len(body))) + body
    for _ in range(int(300 * max(1, SCALE))):
        data = bytearray(good)
        for _ in range(generator.randint(1, 8)):
            place = generator.randrange(len(data))
            if generator.random() < 0.3:
                del data[place:place + generator.randint(1, 20)]
            elif generator.random() < 0.5:
                data[place:place] = generator.randbytes(generator.randint(1, 20))
            else:
                data[place] = generator.randrange(256)
        with connect(server) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                answer = read_answer(sock, "POST")
            except ConnectionError:
                continue  # A reset is an answer, too.
            assert answer is None or answer[0] < 500, (answer, bytes(data))


def test_slowloris_keeps_nobody_else_waiting(server: Server, member, harmless):
    headers, room = member
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(200)]
        stopped = threading.Event()

        def drip() -> None:
            text = head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length="100000")
            for place in range(len(text)):
                for sock in slow:
                    try:
                        sock.send(text[place:place + 1])
                    except OSError:
                        pass  # The server may have had enough of it.
                if stopped.wait(0.02):
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            took = []
            for number in range(100):
                start = time.monotonic()
                answer = httpx.post(
                    f"{server.url}/v1/rooms/{room}/messages", headers=headers, json={"content": f"number {number}"})
                took.append(time.monotonic() - start)
                assert answer.status_code == 201
        finally:
            stopped.set()
            dripping.join()
    assert sorted(took)[-2] < 2, f"requests of others took up to {max(took):.1f} s"
