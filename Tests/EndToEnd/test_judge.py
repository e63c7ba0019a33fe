"""The last step itself: a judge that cannot fail proves nothing. Each case is an exchange as it would be written down,
with one fault planted; without it the judge is content."""

import asyncio
import gc
import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from judge import Judgement
from lib import exchanges, tap
from lib.contract import Contract
from lib.exchanges import Exchange
from lib.raw_http import exchange as exchange_by_hand
from lib.raw_http import head
from lib.server import Server
from lib.tap import Tap

MESSAGE = {
    "id": "msg_01KAPQ5WZ8N3V6T4R2Y7XH9EJM", "room": "room_01KAPQ4DZ2T8N6W1X5C7J0HRVS", "seq": 7,
    "user": "usr_01KAPQ3M0T5C8G2E6W4Z7J9RXN", "username": "siti", "displayName": "Siti", "color": "#7a4fb5",
    "content": "halo", "metadata": None, "origin": "rest", "editedAt": None, "deletedAt": None,
    "createdAt": "2026-11-22T13:26:02.551Z"}
PROBLEM = {"type": "/problems/not-found", "title": "There is no such thing", "status": 404, "instance": "x"}
READY = {
    "type": "stream.ready", "id": "k3f9.7", "at": "2026-11-22T13:26:02.551Z",
    "data": {"cursor": "k3f9.7", "resumed": False, "heartbeatSeconds": 15, "user": "usr_01KAPQ3M0T5C8G2E6W4Z7J9RXN",
             "device": "ses_01KAPQ3M0T5C8G2E6W4Z7J9RXN"}}
POST = {"method": "POST", "target": "/v1/rooms/lobby/messages"}
STREAM = {"method": "GET", "target": "/v1/events/stream"}


def an_exchange(
    method: str = "POST", target: str = "/v1/rooms/lobby/messages", status: int = 201, answer=MESSAGE, asked=None,
    kind: str = "application/json", credentials: bool = True, headers: dict | None = None, fields: dict | None = None,
) -> dict:
    """Siti's message, granted, but for what is said otherwise."""
    given = {"content-type": "application/json"} | ({"authorization": "Bearer x"} if credentials else {})
    body = {"content": "halo"} if asked is None and method == "POST" else asked
    exchange = Exchange(
        "planted", method, target, (given | (fields or {})).items(),
        None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode()))
    told = {"x-request-id": "x", "content-type": kind}
    if status == 201:
        told["location"] = "/v1/rooms/lobby/messages/x"
    exchange.answered(status, (told | (headers or {})).items())
    exchange.received(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())
    return exchange.complete()


def differences(**planted) -> list[str]:
    return Contract.shared().differences(an_exchange(**planted))


def problem(status: int, slug: str, **more) -> dict:
    return more | {
        "status": status, "kind": "application/problem+json",
        "answer": PROBLEM | {"status": status, "type": f"/problems/{slug}"}}


SSE = {"kind": "text/event-stream", "status": 200}


@pytest.mark.parametrize("honest", [
    {}, problem(404, "not-found"), problem(409, "room-archived"), problem(405, "method-not-allowed", method="PUT", asked={},
                                                                          headers={"allow": "GET, POST"}),
    problem(404, "not-found", method="GET", target="/nowhere"), problem(400, "invalid-request", method="GET", target="/%"),
    STREAM | SSE | {"answer": f"id: k3f9.7\nevent: stream.ready\ndata: {json.dumps(READY)}\n\n"},
    STREAM | {"status": 200, "kind": "application/x-ndjson", "answer": json.dumps(READY) + "\n\n"},
    {"method": "OPTIONS", "status": 204, "answer": "", "fields": {"access-control-request-method": "POST"}},
    {"fields": {"content-type": "application/x-www-form-urlencoded"}},
])
def test_what_is_as_the_contract_says_is_no_difference(honest):
    assert differences(**honest) == []


@pytest.mark.parametrize("planted, told", [
    ({"status": 202}, "the contract has only"),
    ({"status": 500, "answer": PROBLEM}, "a defect answered"),
    ({"answer": {name: MESSAGE[name] for name in MESSAGE if name != "seq"}}, "seq"),
    ({"answer": MESSAGE | {"password": "x"}}, "password"),
    ({"answer": MESSAGE | {"origin": "fax"}}, "fax"),
    ({"answer": MESSAGE | {"createdAt": "yesterday"}}, "yesterday"),
    ({"answer": "half of it"}, "not JSON"),
    ({"kind": "text/html"}, "media type 'text/html'"),
    ({"headers": {"x-request-id": ""}}, "X-Request-Id is missing"),
    ({"headers": {"location": ""}, "status": 200}, "the contract has only"),
    ({"headers": {"link": "</v1>"}}, "header link is not in the contract"),
    ({"headers": {"event-cursor": "tomorrow"}}, "header Event-Cursor"),
    ({"headers": {"ratelimit": "many"}}, "header RateLimit"),
    ({"method": "GET", "target": "/healthz", "status": 200, "answer": {"status": "ok"}, "headers": {"ratelimit": "x"}},
     "header ratelimit is not in the contract"),
    (problem(404, "name-taken"), "name-taken is not in x-problems"),
    (problem(404, "not-found") | {"answer": PROBLEM | {"status": 403}}, "a problem of 403 comes with 404"),
    (problem(404, "not-found") | {"kind": "text/plain"}, "media type 'text/plain'"),
    (problem(429, "rate-limited"), "header Retry-After is missing"),
    (problem(429, "rate-limited", headers={"retry-after": "soon"}), "header Retry-After"),
    (problem(403, "forbidden", method="GET", target="/nowhere"), "forbidden is not in"),
    (problem(405, "method-not-allowed", method="PUT", asked={}), "method-not-allowed is not in x-problems"),
    ({"asked": {}}, "granted $"), ({"asked": {"content": "x" * 32_001}}, "granted $.content"),
    ({"asked": b"hello"}, "granted $"), ({"asked": b""}, "granted without its body"),
    ({"fields": {"content-type": "text/csv"}}, "granted a body of text/csv"),
    ({"fields": {"idempotency-key": "a b"}}, "granted Idempotency-Key"),
    ({"credentials": False}, "granted without credentials"),
    ({"method": "GET", "target": "/v1/rooms?limit=201", "status": 200, "answer": {"items": [], "next": None}},
     "granted limit=['201']"),
    ({"method": "GET", "target": "/v1/rooms?limit=1&limit=2", "status": 200, "answer": {"items": [], "next": None}},
     "which has one value"),
    (STREAM | SSE | {"answer": "data: {\"type\":\"stream.rumour\"}\n\n"}, "stream.rumour"),
    (STREAM | SSE | {"answer": f"event: signal\ndata: {json.dumps(READY)}\n\n"}, "under the name signal"),
    (STREAM | {"status": 200, "kind": "application/x-ndjson", "answer": json.dumps(READY | {"at": 7}) + "\n"}, "$.at"),
    ({"method": "DELETE", "target": "/v1/rooms/lobby", "status": 204, "answer": "done"}, "the contract has none"),
    ({"method": "OPTIONS", "status": 403, "answer": "", "fields": {"access-control-request-method": "POST"}}, "preflight"),
], ids=str)
def test_each_difference_is_found(planted, told):
    assert any(told in one for one in differences(**planted)), differences(**planted)


def test_frames_of_a_socket_are_judged():
    exchange = an_exchange("GET", "/v1/ws", 101, "", fields={"upgrade": "websocket"}) | {"frames": [json.dumps(READY)]}
    assert Contract.shared().differences(exchange) == []
    exchange["frames"] = [json.dumps(READY | {"id": 7})]
    assert any("$.id" in one for one in Contract.shared().differences(exchange))


def everything(contract: Contract, but: tuple[str, str] | None = None) -> Judgement:
    judgement = Judgement(contract).hear([an_exchange()])
    judgement.provoked |= contract.promised() - {but}
    judgement.provoked -= {but}
    return judgement


def test_what_was_never_provoked_is_told_when_all_is_demanded():
    contract = Contract.shared()
    assert everything(contract).is_fine(is_complete=True)
    for name, what in (("postMessage", "409"), ("problem", "glare"), ("event", "signal")):
        lacking = everything(contract, (name, what))
        assert lacking.missing == [f"{name} {what}"] and f"NEVER PROVOKED {name} {what}" in lacking.lines(True)
        assert not lacking.is_fine(is_complete=True) and lacking.is_fine(is_complete=False)
    assert not Judgement(contract).is_fine(is_complete=False), "nothing was written down"


@pytest.mark.parametrize("lines, options, code", [
    ([an_exchange()], [], 0), ([an_exchange()], ["--complete"], 1), ([an_exchange(status=202)], [], 1), ([], [], 1),
], ids=["right", "incomplete", "different", "nothing"])
def test_the_program_says_so_by_its_exit_code(tmp_path, lines, options, code):
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    program = Path(__file__).with_name("judge.py")
    result = subprocess.run([sys.executable, program, *options, file], capture_output=True, text=True)
    assert result.returncode == code, result.stdout + result.stderr
    assert f"{len(lines)} exchanges" in result.stdout


# MARK: What is written down


@pytest.fixture
def book(monkeypatch):
    """What is written down from here on."""
    written: list[dict] = []

    class Lines:
        def write(self, line: str) -> None:
            written.append(json.loads(line))

    monkeypatch.setattr(exchanges, "_file", Lines())
    return written


def test_httpx_is_heard_with_what_it_said_and_got(server: Server, book):
    answer = httpx.post(
        f"{server.url}/v1/users?ticket=cbt_secret", json={"username": "siti"}, headers={"Authorization": "Bearer cbk_x"})
    (entry,) = [entry for entry in book if entry["method"] == "POST"]
    assert json.loads(entry["body"]) == {"username": "siti"} and json.loads(entry["answer"]) == answer.json()
    assert entry["headers"]["x-request-id"] == answer.headers["x-request-id"] and not entry["cut"]
    assert entry["test"].endswith("test_httpx_is_heard_with_what_it_said_and_got")
    assert "cbt_secret" not in json.dumps(entry) and "cbk_x" not in json.dumps(entry) and entry["credentials"]


def test_a_program_is_heard(server: Server, book):
    def heard() -> list[tuple]:
        return [(entry["method"], entry["target"], entry["status"]) for entry in book if entry["client"] == "program"]

    subprocess.run(
        ["curl", "-sS", "-m", "10", f"{server.recorded_url}/healthz", f"{server.recorded_url}/nowhere"], check=True,
        stdout=subprocess.DEVNULL)
    assert heard() == [("GET", "/healthz", 200), ("GET", "/nowhere", 404)]


def test_a_connection_that_nobody_says_anything_on_is_not_forgotten(book):
    """A client that has said all waits on: nothing holds such a connection but the tap."""
    ports = tap._Ports()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = ports.port_to(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            far, _ = listener.accept()
            with far:
                far.settimeout(10)
                while far.recv(4096):
                    pass
                for _ in range(3):
                    asyncio.run_coroutine_threadsafe(_collected(), ports._loop).result(10)
                far.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            assert [one["status"] for one in book] == [204]
            ports.close()
            assert client.recv(4096) == b""
    assert not ports._thread.is_alive()


async def _collected() -> None:
    gc.collect()


def test_what_is_said_by_hand_is_heard(server: Server, book):
    exchange_by_hand(server, b"GET / HTTP/9.9\r\n\r\n")
    exchange_by_hand(server, head("GET /healthz HTTP/1.1"))
    unreadable, readable = [entry for entry in book if entry["client"] == "by hand"]
    assert not unreadable["readable"] and unreadable["status"] == 400
    assert readable["readable"] and readable["target"] == "/healthz" and readable["answer"]


def test_a_tap_takes_a_connection_apart_wherever_it_is_cut(book):
    asked = (
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    long = b"x" * 200
    told = (
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        b"\x81\x02{}\x89\x00\x81\x7e\x00\xc8" + long)
    for cut in range(1, len(told)):
        book.clear()
        tap = Tap("planted")
        tap.sent(asked[: cut % len(asked)])
        tap.sent(asked[cut % len(asked):])
        tap.received(told[:cut])
        tap.received(told[cut:])
        tap.close()
        assert [(one["method"], one["status"], one["body"], one["answer"]) for one in book] == [
            ("POST", 201, "{}", "abcde"), ("HEAD", 200, "", ""), ("GET", 101, "", "")], cut
        assert book[2]["frames"] == ["{}", long.decode()]
