"""What no well-meaning client sends: it does no harm, and where there is an answer, it is problem+json."""

import asyncio
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
from lib.client import Client
from lib.server import Server, wait_until

BODY_BYTES_MAX = 256 * 1024


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for all tests here, as each uses a room of its own; harm to it shows at once."""
    server = Server(tmp_path_factory.mktemp("abuse"))
    yield server
    server.discard()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Started again when the test before has brought it down, so that one crash is one failure."""
    return shared_server if shared_server.is_running() else shared_server.start()


@pytest.fixture
def member(server: Server):
    """A user in a room, as (headers, room id)."""

    async def prepare():
        async with await Client.sign_up(server, "member") as client:
            return client.headers() | {"Content-Type": "application/json"}, (await client.create_room())["id"]

    return asyncio.run(prepare())


@pytest.fixture
def harmless(server: Server):
    """Afterwards the server is the same process, answers others, and holds no more sockets than before."""
    pid, sockets = server.pid, settled_sockets(server)
    yield
    assert server.is_running() and server.pid == pid, server.output()[-4000:]
    assert_answers_others(server)
    wait_until(lambda: server.open_sockets() <= sockets, f"no socket is left behind ({sockets} before)", 20)


def settled_sockets(server: Server) -> int:
    """The number of sockets without the requests of fixtures, whose connections are just being closed."""
    counts = []

    def is_settled() -> bool:
        counts.append(server.open_sockets())
        return len(counts) > 20 and len(set(counts[-20:])) == 1

    wait_until(is_settled, "connections are closed")
    return counts[-1]


def assert_answers_others(server: Server, seconds: float = 5) -> None:
    start = time.monotonic()
    answer = httpx.get(f"{server.url}/readyz", timeout=seconds)
    assert answer.status_code == 200 and time.monotonic() - start < seconds


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def head(request_line: str, headers: dict | None = None, **more: str) -> bytes:
    lines = [request_line, "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in ((headers or {}) | more).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_answer(sock: socket.socket, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes] | None:
    """One answer, or `None` when the server closed the connection without one."""
    answer = http.client.HTTPResponse(sock, method=method)
    try:
        answer.begin()
        return answer.status, answer.headers, answer.read()
    except (http.client.BadStatusLine, http.client.RemoteDisconnected, ConnectionError):
        return None


def exchange(server: Server, data: bytes, method: str = "GET"):
    """Sends bytes as they are and reads one answer; `None` when the connection is closed instead."""
    with connect(server) as sock:
        try:
            sock.sendall(data)
        except ConnectionError:
            pass  # It may answer and close before everything was sent.
        return read_answer(sock, method)


def assert_problem(answer, *statuses: int, slug: str | None = None) -> dict:
    assert answer is not None, "the connection was closed without an answer"
    status, headers, body = answer
    assert status in statuses, (status, body[:500])
    assert headers["content-type"].split(";")[0] == "application/problem+json", (headers.items(), body[:500])
    assert headers["x-request-id"]
    problem = json.loads(body)
    assert problem["status"] == status and problem["title"] and problem["type"].startswith("/problems/")
    if slug is not None:
        assert problem["type"] == f"/problems/{slug}"
    return problem


def assert_refused(answer) -> None:
    """An error that is not our own words (the request could not be read at all), or a closed connection."""
    assert answer is None or 400 <= answer[0] < 500, answer


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
         "/dev/null", f"{server.url}/readyz", "--output", "/dev/null", f"{server.url}/healthz"],
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


@pytest.mark.parametrize("path", [
    "/v1/rooms/%FF", "/v1/rooms/%C3%28", "/v1/rooms/%00", "/v1/rooms/a%00b", "/v1/users/@%ED%A0%80", "/%FF", "/%",
    "/v1/rooms/%zz", "/v1/rooms/..%2f..%2fetc", "/problems/%FF", "/problems/../../etc/passwd", "/v1//rooms",
], ids=str)
def test_a_path_that_is_no_text_is_a_problem(server: Server, member, harmless, path: str):
    headers, _ = member
    assert_problem(exchange(server, head(f"GET {path} HTTP/1.1", headers)), 400, 404)


@pytest.mark.parametrize("path", [b"/v1/rooms/\xff", b"/v1/events?after=\xc3\x28", b"/v1/rooms/a\x00b"], ids=repr)
def test_raw_bytes_in_the_request_line_are_refused(server: Server, member, harmless, path: bytes):
    headers, _ = member
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    assert_refused(exchange(server, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"))


@pytest.mark.parametrize("query", [
    "/v1/rooms?limit=%FF", "/v1/rooms?after=%00", "/v1/rooms?limit=0", "/v1/rooms?limit=201", "/v1/rooms?limit=-1",
    "/v1/rooms?limit=1e3", "/v1/rooms?limit=99999999999999999999", "/v1/events?wait=61", "/v1/events?wait=soon",
    "/v1/events?limit=1001", "/v1/events?types=nothing.*", "/v1/events?types=%FF", "/v1/events?after=%FF.1",
    "/v1/events?room=%00",
], ids=str)
def test_a_query_that_is_wrong_is_a_problem(server: Server, member, harmless, query: str):
    headers, _ = member
    assert_problem(exchange(server, head(f"GET {query} HTTP/1.1", headers)), 400, 404, 422)


BODIES = {
    "invalid UTF-8": (b'{"content":"\xff"}', (400,)),
    "overlong UTF-8": (b'{"content":"\xc0\xaf"}', (400,)),
    "lone surrogate": (b'{"content":"\\ud800"}', (400, 422)),
    "raw NUL": (b'{"content":"a\0b"}', (400,)),
    "escaped NUL": (b'{"content":"a\\u0000b"}', (422,)),
    "no JSON": (b"hello", (400,)),
    "half": (b'{"content":', (400,)),
    "two": (b'{"content":"a"}{"content":"b"}', (400,)),
    "empty": (b"", (400,)),
    "list": (b'["content"]', (400, 422)),
    "string": (b'"content"', (400, 422)),
    "null": (b"null", (400, 422)),
    "wrong type": (b'{"content":1}', (422,)),
    "missing": (b"{}", (422,)),
    "empty content": (b'{"content":""}', (422,)),
    "metadata list": (b'{"content":"a","metadata":[]}', (422,)),
    "metadata join_call": (b'{"content":"a","metadata":{"action":"join_call"}}', (422,)),
    "huge number": (b'{"content":"a","metadata":{"n":' + b"9" * 5000 + b"}}", (201, 400, 422)),
    "deep": (b'{"content":"a","metadata":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", (400, 422)),
    "deeper": (b"[" * 100_000 + b"]" * 100_000, (400, 422)),
    "deepest": (b'{"a":' * 50_000, (400, 422)),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_is_a_problem_and_writes_nothing(server: Server, member, harmless, name: str):
    headers, room = member
    body, statuses = BODIES[name]
    answer = exchange(
        server, head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length=str(len(body))) + body, "POST")
    if answer is not None and answer[0] == 201 and 201 in statuses:
        return
    problem = assert_problem(answer, *statuses)
    if answer[0] == 422:
        assert problem["errors"] and all(error["field"] and error["message"] for error in problem["errors"])
    answer = httpx.get(f"{server.url}/v1/rooms/{room}/messages", headers=headers)
    assert answer.json()["items"] == []


def test_a_body_that_is_not_json_by_its_type_is_415(server: Server, member, harmless):
    headers, room = member
    body = b'{"content":"a"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = exchange(
            server, head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers | {"Content-Type": kind},
                         Content_Length=str(len(body))) + body, "POST")
        assert_problem(answer, 415, slug="unsupported-media-type")


@pytest.mark.parametrize("form", ["length", "chunked", "length only announced"])
def test_a_body_over_the_limit_is_413(server: Server, member, harmless, form: str):
    headers, room = member
    body = json.dumps({"content": "a", "padding": "x" * BODY_BYTES_MAX * 2}).encode()
    line = f"POST /v1/rooms/{room}/messages HTTP/1.1"
    if form == "length":
        data = head(line, headers, Content_Length=str(len(body))) + body
    elif form == "chunked":
        chunks = [body[index:index + 8000] for index in range(0, len(body), 8000)]
        data = head(line, headers, Transfer_Encoding="chunked")
        data += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        data = head(line, headers, Content_Length=str(1 << 40))
    assert_problem(exchange(server, data, "POST"), 413, slug="body-too-large")
    assert_answers_others(server)


def test_a_body_at_the_limit_is_taken(server: Server, member, harmless):
    headers, room = member
    body = json.dumps({"content": "a", "padding": ""}).encode()
    body = json.dumps({"content": "a", "padding": "x" * (BODY_BYTES_MAX - len(body))}).encode()
    assert len(body) == BODY_BYTES_MAX
    answer = exchange(
        server, head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers, Content_Length=str(len(body))) + body, "POST")
    assert answer is not None and answer[0] == 201, answer


def test_a_wrong_method_is_405_with_what_is_allowed(server: Server, member, harmless):
    headers, room = member
    for method, path, allowed in (
        ("DELETE", "/v1/rooms", {"GET", "POST"}), ("POST", "/v1/events", {"GET"}), ("PUT", "/v1/users", {"GET", "POST"}),
        ("PATCH", f"/v1/rooms/{room}/messages", {"GET", "POST"}), ("POST", "/healthz", {"GET"}),
        ("PROPFIND", "/v1/rooms", {"GET", "POST"}), ("TRACE", "/v1/rooms", {"GET", "POST"}),
    ):
        answer = exchange(server, head(f"{method} {path} HTTP/1.1", headers, Content_Length="0"), method)
        assert_problem(answer, 405, slug="method-not-allowed")
        assert allowed <= {name.strip() for name in answer[1]["allow"].split(",")}, (method, path, answer[1]["allow"])


def test_an_unknown_route_is_404(server: Server, member, harmless):
    headers, _ = member
    for path in ("/nothing", "/v1", "/v1/nothing", "/v2/rooms", "/v1/rooms/x/nothing", "/" + "a/" * 200):
        assert_problem(exchange(server, head(f"GET {path} HTTP/1.1", headers)), 404, slug="not-found")


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
                length = int(http.client.parse_headers(file)["content-length"])
                body = json.loads(file.read(length))
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


def test_head_and_options_have_no_body(server: Server, member, harmless):
    headers, _ = member
    answer = exchange(server, head("HEAD /v1/rooms HTTP/1.1", headers), "HEAD")
    assert answer is not None and answer[0] == 200 and answer[2] == b""
    answer = exchange(server, head(
        "OPTIONS /v1/rooms HTTP/1.1", Origin="https://app.example", Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,idempotency-key,comblang-device,content-type"), "OPTIONS")
    assert answer is not None and 200 <= answer[0] < 300
    allowed = answer[1]["access-control-allow-headers"].lower()
    assert answer[1]["access-control-allow-origin"] in ("*", "https://app.example")
    assert all(name in allowed for name in ("authorization", "idempotency-key", "comblang-device", "content-type"))


def test_answers_expose_what_a_page_needs(server: Server, member):
    headers, _ = member
    answer = httpx.get(f"{server.url}/v1/rooms", headers=headers | {"Origin": "https://app.example"})
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("event-cursor", "link", "retry-after", "x-request-id", "location"):
        assert name in exposed
    # Also on an error, or a page could not read why.
    answer = httpx.get(f"{server.url}/v1/rooms", headers={"Origin": "https://app.example"})
    assert answer.status_code == 401 and "access-control-allow-origin" in answer.headers


def test_bad_credentials_are_401_and_say_so(server: Server, member, harmless):
    headers, _ = member
    good = headers["Authorization"].removeprefix("Bearer ")
    payload = good.split(".")[1]
    for value in (
        "", "Bearer", "Bearer ", "Bearer x", f"Basic {good}", f"Bearer {good}x", f"Bearer {good[:-5]}",
        # Unsigned: {"alg":"none"}.
        f"Bearer eyJhbGciOiJub25lIn0.{payload}.", "Bearer " + "a" * 5000, "Bearer cbr_x", f"Bearer {payload}",
    ):
        assert_problem(exchange(server, head("GET /v1/rooms HTTP/1.1", Authorization=value)), 401, slug="unauthorized")
    # Tokens never go into URLs.
    assert_problem(exchange(server, head(f"GET /v1/rooms?token={good}&access_token={good} HTTP/1.1")), 401)
    assert_problem(exchange(server, head("GET /v1/events/stream?ticket=cbt_nothing HTTP/1.1")), 401)
