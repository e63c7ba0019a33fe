"""The servers of the comparison: how each is started, and what its requests look like."""

import getpass
import json
import os
import urllib.request
from pathlib import Path

from .process import Process, free_port

BENCH = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("COMBLANG_BINARY", BENCH.parent / ".build/release/comblang"))
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
MARKER_BYTES = 38
SSE = ("Accept: text/event-stream",)
WEBSOCKET = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def request(method: str, path: str, *fields: str, body: str = "") -> str:
    """A request as a line of the generator's plan; the marker's place counts as long as a marker."""
    if body:
        size = len(body.replace("{marker}", "~" * MARKER_BYTES))
        fields += ("Content-Type: application/json", f"Content-Length: {size}")
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]
    return "\\r\\n".join(lines) + body


def payload(size: int) -> str:
    """Content of that many bytes, once the marker is in."""
    return "{marker}" + "x" * (size - MARKER_BYTES)


class Peer:
    """A running server. `plan` gives the lines that the generator needs for a scenario."""

    name = ""
    process: Process

    def plan(self, scenario) -> list[str]:
        raise NotImplementedError

    def stop(self) -> None:
        self.process.stop()


class Comblang(Peer):
    """The server with its data on disk, every event durable before it is seen."""

    name = "comblang"
    # One user holds all streams here; the limits for that are settings.
    settings = {
        "COMBLANG_STREAMS_PER_USER": "10000", "COMBLANG_STREAMS_PER_DEVICE": "1000", "COMBLANG_LOG_LEVEL": "warning",
        "COMBLANG_RATE_LIMITS": "false",
    }

    def __init__(self, directory: Path, settings: dict[str, str]):
        self.port = free_port()
        self.process = Process(
            [str(BINARY), "serve", "--port", str(self.port), "--data-dir", str(directory / "data")], self.port,
            directory, self.settings | settings)
        self.token = self.call("POST", "/v1/users", {"username": "bench"})["accessToken"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "token"):
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        sent = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return json.load(answer)

    def plan(self, scenario) -> list[str]:
        rooms = [self.call("POST", "/v1/rooms", {"title": "Bench"})["id"] for _ in range(scenario.rooms)]
        sign_in = f"Authorization: Bearer {self.token}"
        listen = (sign_in, "Comblang-Device: d{device}")
        events = "/v1/rooms/{room}/events"
        if scenario.mode == "storm":
            listen += (f"Last-Event-ID: {self.call('GET', '/v1/events')['cursor']}",)
        if scenario.wire == "websocket":
            subscribe = request("GET", "/v1/ws?room={room}", *listen, *WEBSOCKET)
        else:
            subscribe = request("GET", events + "/stream", *listen, *SSE)
        publish = request(
            "POST", "/v1/rooms/{room}/messages", sign_in, body=f'{{"content":"{payload(scenario.size)}"}}')
        if scenario.is_reading:
            for room in rooms * 50:
                self.call("POST", f"/v1/rooms/{room}/messages", {"content": "x" * scenario.size})
            publish = request("GET", "/v1/rooms/{room}/messages?limit=50", sign_in)
        return [f"room {room}" for room in rooms] + [
            f"address 127.0.0.1 {self.port}", f"subscribe {subscribe}", f"publish {publish}",
            f"first-poll {request('GET', events + '?wait=0', *listen)}",
            f"poll {request('GET', events + '?wait=60&limit=1000&after={cursor}', *listen)}",
            "cursor-header Event-Cursor", "device-streams 500"]


class Nchan(Peer):
    """nginx with nchan: two workers, messages in memory."""

    name = "nchan"

    def __init__(self, directory: Path, settings: dict[str, str]):
        self.port = free_port()
        # nginx gives its workers another user when root starts it; that user could not read the directory.
        user = "user root;" if getpass.getuser() == "root" else ""
        text = (BENCH / "peers/nchan.conf").read_text()
        for name, value in {"MODULE": NCHAN_MODULE, "RUN": directory, "PORT": self.port, "USER": user}.items():
            text = text.replace(f"@{name}@", str(value))
        (directory / "nginx.conf").write_text(text)
        nginx = "/usr/sbin/nginx"
        self.process = Process(
            [nginx, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")],
            self.port, directory)

    def plan(self, scenario) -> list[str]:
        subscribe = request("GET", "/replay/{room}" if scenario.mode == "storm" else "/sse/{room}", *SSE)
        if scenario.wire == "websocket":
            subscribe = request("GET", "/ws/{room}", *WEBSOCKET)
        publish = request("POST", "/pub/{room}", body=f'{{"content":"{payload(scenario.size)}"}}')
        if scenario.is_reading:
            publish = request("GET", "/empty")
        again = ("If-Modified-Since: {cursor}", "If-None-Match: {cursor2}")
        return [f"room bench{number}" for number in range(scenario.rooms)] + [
            f"address 127.0.0.1 {self.port}", f"subscribe {subscribe}", f"publish {publish}",
            f"first-poll {request('GET', '/poll/{room}')}", f"poll {request('GET', '/poll/{room}', *again)}",
            "cursor-header Last-Modified", "cursor-header Etag"]


class CLoop(Peer):
    """The bare C loop, one write for each event and stream."""

    name = "cloop"
    arguments: list[str] = []

    def __init__(self, directory: Path, settings: dict[str, str]):
        self.port = free_port()
        self.process = Process([str(BENCH / "out/cloop"), str(self.port), *self.arguments], self.port, directory)

    def plan(self, scenario) -> list[str]:
        publish = request("POST", "/{room}", body=f'{{"content":"{payload(scenario.size)}"}}')
        return [f"room {number}" for number in range(scenario.rooms)] + [
            f"address 127.0.0.1 {self.port}", f"subscribe {request('GET', '/{room}', *SSE)}", f"publish {publish}",
            f"first-poll {request('GET', '/{room}?poll')}", f"poll {request('GET', '/{room}?poll')}",
            "cursor-header Etag"]


class CoalescingCLoop(CLoop):
    """The bare C loop that joins what came in one round."""

    name = "cloop-coalescing"
    arguments = ["coalesce"]


class Node(Peer):
    """A server by hand on Node that stores nothing."""

    name = "node"

    def __init__(self, directory: Path, settings: dict[str, str]):
        self.port = free_port()
        self.process = Process(["node", str(BENCH / "peers/node.js"), str(self.port)], self.port, directory)

    def plan(self, scenario) -> list[str]:
        publish = request("POST", "/", body=f'{{"content":"{payload(scenario.size)}"}}')
        return ["room all", f"address 127.0.0.1 {self.port}", f"publish {publish}"]


PEERS = {peer.name: peer for peer in (Comblang, Nchan, CLoop, CoalescingCLoop, Node)}
