"""`comblang load-test`: finds nothing wrong with a server that is right, and each fault of one that is not."""

import contextlib
import json
import queue
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.server import comblang, wait_until

SMALL = ("--subscribers", "20", "--messages", "200", "--warm-up", "5", "--window", "4", "--json")


def load_test(url: str, *arguments: str) -> tuple[int, dict]:
    """Its exit code and figures."""
    result = comblang("load-test", "--url", url, *SMALL, *arguments, timeout=120)
    assert result.stdout, result.stderr
    return result.returncode, json.loads(result.stdout)


def query(server, sql: str) -> int:
    """One number from the server's database, beside the server."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/comblang.sqlite?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchone()[0]


@pytest.mark.parametrize("wire", ["sse", "ndjson", "websocket", "long-poll"])
def test_every_wire_delivers_each_message_once_and_in_order(server, wire):
    code, figures = load_test(server.url, "--wire", wire, "--rooms", "3")
    assert (code, figures["complete"], figures["errors"], figures["endings"]) == (0, True, {}, {}), figures
    assert not any(figures["faults"].values()), figures
    # 200 messages over 3 rooms, 20 subscribers over 3 rooms: 7, 7 and 6 of them; 205 went round robin.
    assert 20 * 66 <= figures["events"] <= 20 * 67
    assert figures["latencyMs"]["p50"] <= figures["latencyMs"]["p99"] <= figures["latencyMs"]["max"]


@pytest.mark.parametrize("wire", ["sse", "websocket", "long-poll"])
def test_subscribers_that_were_away_get_what_they_missed(server, wire):
    code, figures = load_test(server.url, "--wire", wire, "--messages-away", "30")
    assert (code, figures["lostPositions"]) == (0, 0), figures
    assert figures["secondsUntilBack"] > 0


def test_a_storm_brings_all_messages_to_all(server):
    code, figures = load_test(server.url, "--storm")
    assert (code, figures["events"]) == (0, 20 * 200), figures


def test_requests_alone_are_measured(server):
    for mode in ("--post-only", "--get-only"):
        code, figures = load_test(server.url, mode)
        assert (code, figures["answered"], figures["errors"]) == (0, 200, {}), figures


def test_the_guests_are_gone_afterwards(server):
    load_test(server.url)
    assert query(server, "SELECT count(*) FROM user WHERE username LIKE 'load-%'") == 0


def test_a_server_that_dies_is_told_apart_from_one_that_is_done(server):
    with ThreadPoolExecutor() as threads:
        running = threads.submit(load_test, server.url, "--rate", "20", "--patience", "2")
        # Past the warm-up; 200 messages at that rate take 10 s.
        wait_until(lambda: query(server, "SELECT count(*) FROM message") > 20, "messages are posted", 30)
        server.kill()
        code, figures = running.result()
    assert (code, figures["complete"]) == (2, False), figures


@pytest.mark.parametrize(("fault", "code", "counted"), [
    ("none", 0, None), ("lose", 3, "gaps"), ("lose-last", 2, "missing"), ("double", 3, "duplicates"),
    ("swap", 3, "disorder"),
])
def test_every_fault_of_a_server_is_found(fault, code, counted):
    with FaultyServer(fault) as url:
        found, figures = load_test(url, "--window", "1", "--patience", "3")
    assert found == code, figures
    faults = figures["faults"]
    assert counted is None and not any(faults.values()) or faults[counted] > 0, figures


class FaultyServer:
    """As much of Comblang as a load test with one publisher needs, with one fault, committed once on purpose."""

    AT = 100

    def __init__(self, fault: str):
        self.fault = fault
        self.lock = threading.Lock()
        self.streams: list[queue.Queue] = []
        self.posted = 0
        self.held: bytes | None = None
        handler = type("Handler", (FaultyHandler,), {"owner": self})
        # The queue of five that it has by default makes connections wait for a second.
        server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128, "daemon_threads": True})
        self.http = server(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.http.server_port}"

    def __exit__(self, *_) -> None:
        self.http.shutdown()
        self.http.server_close()

    def publish(self, body: bytes) -> None:
        with self.lock:
            self.posted += 1
            content = json.loads(body)["content"]
            envelope = {"id": f"e.{self.posted}", "type": "message.created", "data": {"content": content}}
            event = b"data: " + json.dumps(envelope, separators=(",", ":")).encode() + b"\n\n"
            for frame in self.frames(event):
                for stream in self.streams:
                    stream.put(frame)

    def frames(self, event: bytes) -> list[bytes]:
        """What becomes of the event; 205 messages are posted in all, the first 5 as warm-up."""
        if self.held:
            event, self.held = event + self.held, None
        elif self.fault == "lose" and self.posted == self.AT or self.fault == "lose-last" and self.posted == 205:
            return []
        elif self.fault == "double" and self.posted == self.AT:
            return [event, event]
        elif self.fault == "swap" and self.posted == self.AT:
            self.held = event
            return []
        return [event]


class FaultyHandler(BaseHTTPRequestHandler):
    """The routes of a load test."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: FaultyServer

    def log_message(self, *_) -> None:
        """Nobody reads it."""

    def answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/messages"):
            self.owner.publish(body)
        self.answer(201, {"id": "room_1", "accessToken": "token"})

    def do_PUT(self) -> None:
        self.answer(200, {})

    do_DELETE = do_PUT

    def do_GET(self) -> None:
        if not self.path.endswith("/stream"):
            return self.answer(200, {"events": [], "cursor": "e.0", "more": False})
        frames: queue.Queue = queue.Queue()
        frames.put(b'data: {"id":"e.0","type":"stream.ready","data":{}}\n\n')
        with self.owner.lock:
            self.owner.streams.append(frames)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while frame := frames.get(timeout=30):
                # Chunks that cut events in two: a proxy may do that.
                for part in (frame[:50], frame[50:]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if part else b"")
        except (OSError, queue.Empty):
            self.close_connection = True
