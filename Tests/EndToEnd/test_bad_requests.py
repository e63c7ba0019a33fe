"""Requests that can be read but not granted: a problem that says why, and nothing written."""

import http.client
import json
import socket
import subprocess

import httpx
import pytest

from lib.raw_http import assert_answers_others, assert_problem, assert_refused, connect, exchange, head
from lib.server import Server

BODY_BYTES_MAX = 256 * 1024


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.mark.parametrize("path", [
    "/v1/rooms/%FF", "/v1/rooms/%C3%28", "/v1/rooms/%00", "/v1/rooms/a%00b", "/v1/users/@%ED%A0%80", "/%FF", "/%",
    "/v1/rooms/%zz", "/v1/rooms/..%2f..%2fetc", "/problems/%FF", "/problems/../../etc/passwd",
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
    "deep enough to be slow": (b'{"content":"a","metadata":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", (400,)),
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


@pytest.mark.parametrize("kind, status", [
    ("text/plain", 415), ("application/xml", 415), ("multipart/form-data; boundary=x", 415),
    # What `curl -d` says by itself: what counts is that the body is JSON.
    ("application/x-www-form-urlencoded", 201), ("application/json; charset=utf-8", 201),
])
def test_a_body_is_taken_by_its_type(server: Server, member, harmless, kind: str, status: int):
    headers, room = member
    body = b'{"content":"a"}'
    answer = exchange(
        server, head(f"POST /v1/rooms/{room}/messages HTTP/1.1", headers | {"Content-Type": kind},
                     Content_Length=str(len(body))) + body, "POST")
    assert answer is not None and answer[0] == status, answer
    if status == 415:
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


@pytest.mark.parametrize("lines, status", [
    ([], 400), (["Host: a", "Host: b"], 400), (["Host: a", "host: a"], 400), (["host: "], 200), (["HOST: a:1"], 200),
], ids=["none", "two", "the same twice", "empty", "any case"])
def test_a_request_names_one_host(server: Server, member, harmless, lines: list[str], status: int):
    headers, room = member
    for target, is_express in (("/healthz", False), ("/v1/events/stream?format=ndjson", True)):
        more = [f"{name}: {value}" for name, value in headers.items()] if is_express else []
        # What comes behind it is not taken.
        data = "\r\n".join([f"GET {target} HTTP/1.1", *lines, *more, "", ""]).encode("latin-1")
        if status == 400:
            answer = exchange(server, data + data)
            assert "Host" in assert_problem(answer, 400, slug="invalid-request")["detail"]
            assert answer[1]["connection"] == "close"
        elif not is_express:
            assert exchange(server, data)[0] == 200
    # HTTP/1.0 knew no hosts.
    assert exchange(server, b"GET /healthz HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize("lane", ["express", "router"])
def test_a_body_that_is_waited_for_is_asked_for(server: Server, member, harmless, lane: str):
    headers, room = member
    body = b'{"content":"a"}' if lane == "express" else b'{"title":"a"}'
    path = f"/v1/rooms/{room}/messages" if lane == "express" else "/v1/rooms"
    asking = head(f"POST {path} HTTP/1.1", headers, Expect="100-Continue", Content_Length=str(len(body)))
    with connect(server) as sock:
        file = sock.makefile("rb")

        def answered() -> int:
            status = int(file.readline().split()[1])
            fields = http.client.parse_headers(file)
            sock.answered(status, fields.items(), file.read(int(fields["content-length"])))
            return status

        for before in (b"", head("GET /healthz HTTP/1.1")):
            if before:
                sock.sendall(before + asking)
                assert answered() == 200
            else:
                sock.sendall(asking)
            # Without a byte of the body: nothing else would make the server say it.
            assert file.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(body)
            assert answered() == 201


def test_a_body_is_not_asked_for_that_is_refused_or_there_is_none(server: Server, member, harmless):
    headers, room = member
    line = f"POST /v1/rooms/{room}/messages HTTP/1.1"
    with connect(server) as sock:
        sock.sendall(head(line, headers, Expect="100-continue", Content_Length=str(BODY_BYTES_MAX + 1)))
        assert sock.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 413"
    for data in (
        head("GET /healthz HTTP/1.1", Expect="100-continue"),
        head("GET /healthz HTTP/1.1", Expect="something-else"),
        b"GET /healthz HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    ):
        with connect(server) as sock:
            sock.sendall(data)
            assert sock.recv(12, socket.MSG_WAITALL)[-3:] == b"200"


def test_curl_does_not_wait_with_a_large_body(server: Server, member, harmless):
    headers, room = member
    body = json.dumps({"content": "a", "padding": "x" * 200_000})
    result = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--expect100-timeout", "15", "--output", "/dev/null",
         "--write-out", "%{http_code} %{time_total}", "--header", f"Authorization: {headers['Authorization']}",
         "--header", "Expect: 100-continue", "--data", "@-", f"{server.recorded_url}/v1/rooms/{room}/messages"],
        input=body, capture_output=True, text=True, timeout=30)
    status, seconds = result.stdout.split()
    assert status == "201" and float(seconds) < 14, result


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
        ("TRACE", "/v1/rooms", {"GET", "POST"}), ("PROPFIND", "/v1/rooms", {"GET", "POST"}), ("QUERY", "/healthz", {"GET"}),
    ):
        answer = exchange(server, head(f"{method} {path} HTTP/1.1", headers, Content_Length="0"), method)
        assert_problem(answer, 405, slug="method-not-allowed")
        assert allowed <= {name.strip() for name in answer[1]["allow"].split(",")}, (method, path, answer[1]["allow"])


def test_an_unknown_route_is_404(server: Server, member, harmless):
    headers, _ = member
    for path in ("/nothing", "/v1", "/v1/nothing", "/v2/rooms", "/v1/rooms/x/nothing", "/" + "a/" * 200):
        for method in ("GET", "PROPFIND"):
            answer = exchange(server, head(f"{method} {path} HTTP/1.1", headers), method)
            assert_problem(answer, 404, slug="not-found")


def test_head_and_options_have_no_body(server: Server, member, harmless):
    headers, _ = member
    answer = exchange(server, head("HEAD /v1/rooms HTTP/1.1", headers), "HEAD")
    assert answer is not None and answer[0] == 200 and answer[2] == b""
    answer = exchange(server, head(
        "OPTIONS /v1/rooms HTTP/1.1", Origin="https://app.example", Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,idempotency-key,comblang-device,content-type"), "OPTIONS")
    assert answer is not None and answer[0] == 204 and answer[1]["x-request-id"]
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
