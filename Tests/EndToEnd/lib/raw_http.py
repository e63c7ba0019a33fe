"""HTTP/1.1 by hand: bytes as they are, and what comes back."""

import http.client
import json
import socket
import threading
import time
from contextlib import suppress

import httpx

from .server import Server, wait_until
from .tap import Requests

SENT_BYTES_MAX = 512 * 1024


def assert_answers_others(server: Server, seconds: float = 5) -> None:
    start = time.monotonic()
    answer = httpx.get(f"{server.url}/readyz", timeout=seconds)
    assert answer.status_code == 200 and time.monotonic() - start < seconds


class RawSocket(socket.socket):
    """A connection that knows what was sent on it, so that an answer is written down with its request."""

    def __init__(self, port: int):
        sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        super().__init__(sock.family, sock.type, fileno=sock.detach())
        self.settimeout(20)
        self._requests = Requests("by hand")
        self._sent = bytearray()

    def send(self, data: bytes, *flags) -> int:
        self._note(data)
        return super().send(data, *flags)

    def sendall(self, data: bytes, *flags) -> None:
        self._note(data)
        super().sendall(data, *flags)

    def _note(self, data: bytes) -> None:
        self._sent += data[: SENT_BYTES_MAX - len(self._sent)]

    def answered(self, status: int, fields, body: bytes) -> None:
        """Writes an answer down. What it answers is read only now: some send byte by byte."""
        self._requests.add(bytes(self._sent))
        self._sent.clear()
        exchange = self._requests.next()
        exchange.answered(status, fields)
        exchange.received(body)
        exchange.finish()


def connect(server: Server) -> RawSocket:
    return RawSocket(server.port)


def head(request_line: str, headers: dict | None = None, **more: str) -> bytes:
    lines = [request_line, "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in ((headers or {}) | more).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_answer(sock: RawSocket, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes] | None:
    """One answer, or `None` when the server closed the connection without one."""
    answer = http.client.HTTPResponse(sock, method=method)
    try:
        answer.begin()
        body = answer.read()
        sock.answered(answer.status, answer.headers.items(), body)
        return answer.status, answer.headers, body
    except (http.client.BadStatusLine, http.client.RemoteDisconnected, ConnectionError):
        return None


def exchange(server: Server, data: bytes, method: str = "GET"):
    """Sends bytes as they are and reads one answer; `None` when the connection is closed instead.

    Reads while it sends, as curl does: a server may answer before it was told everything, and read no further.
    """

    def send() -> None:
        with suppress(OSError):  # Closed by the server, or by us below, who have the answer.
            sock.sendall(data)

    with connect(server) as sock:
        sending = threading.Thread(target=send)
        sending.start()
        try:
            return read_answer(sock, method)
        finally:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sending.join()


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
    """A problem, or a closed connection: a reset may overtake the answer of a server that reads no further."""
    if answer is not None:
        assert_problem(answer, 400, 408, 413, 414, 431)


def settled_sockets(server: Server) -> int:
    """The number of sockets without the requests of fixtures, whose connections are just being closed."""
    counts = []

    def is_settled() -> bool:
        counts.append(server.open_sockets())
        return len(counts) > 20 and len(set(counts[-20:])) == 1

    wait_until(is_settled, "connections are closed")
    return counts[-1]
