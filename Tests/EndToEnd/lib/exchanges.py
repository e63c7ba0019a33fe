"""Every exchange of a test with a server of ours, written down as one line of JSON; `judge.py` holds all of them
against the contract.

What asks by httpx or `websockets` is heard here, whatever test it is in; programs and browsers are heard by `tap.py`,
and what is said by hand by `wires.py`, `raw_http.py` and `http2.py`. Who asks somebody else's server is left alone.
"""

import functools
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import httpx
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode

FOLDER = Path(__file__).resolve().parents[1] / "out/exchanges"
# Of each body, and of all that came on one stream: more shows no more of its form.
BYTES_MAX = 64 * 1024
# Request headers by which the contract decides something.
FIELDS = {
    "accept", "access-control-request-method", "comblang-device", "content-type", "idempotency-key", "if-none-match",
    "last-event-id", "origin", "upgrade",
}
SECRETS = re.compile(r"([?&](?:ticket|resume|token|access_token)=)[^&]*")

_lock = threading.Lock()
_open: set["Exchange"] = set()
_file = None
# Running servers of the tests, by port.
_ports: set[int] = set()


def begin(name: str) -> None:
    """Writes down from now on, into a file of that name."""
    global _file
    FOLDER.mkdir(parents=True, exist_ok=True)
    _file = open(FOLDER / f"{name}.jsonl", "w", buffering=1 << 16)
    httpx.HTTPTransport.handle_request = _heard(httpx.HTTPTransport.handle_request)
    httpx.AsyncHTTPTransport.handle_async_request = _heard_async(httpx.AsyncHTTPTransport.handle_async_request)
    ClientProtocol.send_request = _heard_request(ClientProtocol.send_request)
    ClientProtocol.process_response = _heard_handshake(ClientProtocol.process_response)
    ClientProtocol.recv_frame = _heard_frame(ClientProtocol.recv_frame)


def end() -> Path | None:
    """Writes down what is still open, and returns where all of it is; `None` if nothing was begun."""
    global _file
    for exchange in list(_open):
        exchange.finish(is_whole=False)
    with _lock:
        file, _file = _file, None
        if file is None:
            return None
        file.close()
        return Path(file.name)


def is_ours(port: int | None) -> bool:
    """Whether one of our servers listens there."""
    return port in _ports


def serves(port: int) -> None:
    _ports.add(port)


def serves_no_more(port: int) -> None:
    _ports.discard(port)


class Exchange:
    """One request and what came back, as far as it was read. Nothing is written of one that got no answer.

    `is_readable` tells of a request whether HTTP's grammar allows it.
    """

    def __init__(
        self, client: str, method: str, target: str, fields: Iterable[tuple[str, str]], body: bytes | None = None,
        is_readable: bool = True,
    ):
        headers = {name.lower(): value for name, value in fields}
        self.entry = {
            "test": os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0], "client": client, "method": method,
            "target": SECRETS.sub(r"\1…", target),
            "fields": {name: value for name, value in headers.items() if name in FIELDS},
            "credentials": "authorization" in headers, "readable": is_readable,
        }
        self._asked = _Bytes()
        self._answered = _Bytes()
        if body:
            self._asked.add(body)

    @classmethod
    def of(cls, request: httpx.Request, client: str = "httpx") -> "Exchange":
        try:
            body = request.content
        except httpx.RequestNotRead:
            body = None
        target = request.url.raw_path.decode("latin-1")
        return cls(client, request.method, target, request.headers.items(), body)

    def sent(self, data: bytes) -> None:
        """More of the request's body."""
        self._asked.add(data)

    def answered(self, status: int, fields: Iterable[tuple[str, str]]) -> None:
        headers: dict[str, str] = {}
        for name, value in fields:
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        self.entry |= {"status": status, "headers": headers}
        if status == 101:
            self.entry["frames"] = []
        with _lock:
            _open.add(self)

    def received(self, data: bytes) -> None:
        """More of the answer's body."""
        self._answered.add(data)

    def frame(self, text: bytes) -> None:
        """A text frame that the server sent."""
        self._answered.count += len(text)
        if self._answered.count <= BYTES_MAX:
            self.entry["frames"].append(text.decode(errors="replace"))

    def finish(self, is_whole: bool = True) -> None:
        """Writes it down, once. `is_whole`: the answer was read to its end."""
        with _lock:
            if self not in _open:
                return
        entry = self.complete(is_whole)
        with _lock:
            if _file is not None:
                _file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")

    def complete(self, is_whole: bool = True) -> dict:
        """What would be written down, which it then is not."""
        with _lock:
            _open.discard(self)
        is_cut = self._answered.count > BYTES_MAX or not is_whole
        return self.entry | {
            "body": self._asked.text, "body_bytes": self._asked.count, "answer": self._answered.text,
            "answer_bytes": self._answered.count, "cut": is_cut}


class _Bytes:
    """The beginning of some bytes, and how many there were."""

    def __init__(self):
        self.count = 0
        self._kept: list[bytes] = []

    def add(self, data: bytes) -> None:
        if self.count < BYTES_MAX:
            self._kept.append(bytes(data[: BYTES_MAX - self.count]))
        self.count += len(data)

    @property
    def text(self) -> str:
        return b"".join(self._kept).decode(errors="replace")


# MARK: httpx


class _Heard(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, exchange: Exchange):
        self._stream, self._exchange, self._is_whole = stream, exchange, False

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            self._exchange.received(data)
            yield data
        self._is_whole = True

    def close(self) -> None:
        self._exchange.finish(self._is_whole)
        self._stream.close()


class _HeardAsync(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, exchange: Exchange):
        self._stream, self._exchange, self._is_whole = stream, exchange, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            self._exchange.received(data)
            yield data
        self._is_whole = True

    async def aclose(self) -> None:
        self._exchange.finish(self._is_whole)
        await self._stream.aclose()


def _heard(handle):
    @functools.wraps(handle)
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = handle(self, request)
        if is_ours(request.url.port):
            response.stream = _Heard(response.stream, _begun(request, response))
        return response

    return handle_request


def _heard_async(handle):
    @functools.wraps(handle)
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await handle(self, request)
        if is_ours(request.url.port):
            response.stream = _HeardAsync(response.stream, _begun(request, response))
        return response

    return handle_async_request


def _begun(request: httpx.Request, response: httpx.Response) -> Exchange:
    exchange = Exchange.of(request)
    exchange.answered(response.status_code, response.headers.multi_items())
    return exchange


# MARK: websockets


def _heard_request(send):
    @functools.wraps(send)
    def send_request(self: ClientProtocol, request) -> None:
        if is_ours(self.uri.port):
            self.asked = Exchange("websockets", "GET", request.path, request.headers.raw_items())
        send(self, request)

    return send_request


def _heard_handshake(process):
    @functools.wraps(process)
    def process_response(self: ClientProtocol, response) -> None:
        exchange = getattr(self, "asked", None)
        if exchange is not None:
            exchange.answered(response.status_code, response.headers.raw_items())
            exchange.received(response.body or b"")
            if response.status_code != 101:
                exchange.finish()
        process(self, response)

    return process_response


def _heard_frame(receive):
    @functools.wraps(receive)
    def recv_frame(self, frame: Frame) -> None:
        exchange = getattr(self, "asked", None)
        if exchange is not None and frame.opcode is Opcode.TEXT:
            exchange.frame(bytes(frame.data))
        elif exchange is not None and frame.opcode is Opcode.CLOSE:
            exchange.finish()
        receive(self, frame)

    return recv_frame
