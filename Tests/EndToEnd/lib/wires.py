"""The four wires, read from raw sockets by the standards' words: RFC 9112 (HTTP/1.1), RFC 6455 (WebSocket). A
connection can be cut after any byte, also in the middle of a frame.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import urlencode

from .event_source import EventSourceParser
from .exchanges import Exchange
from .tap import Requests

WIRES = ("sse", "ndjson", "poll", "websocket")


class WasCut(Exception):
    """The reader's own doing: the budget of its `Cut` is used up."""


class PeerClosed(Exception):
    """The connection ended where more was due, or could not be opened."""


@dataclass(frozen=True)
class Cut:
    """When a reader tears its connection: after so many received bytes, after so many seconds, or never.

    `reset` tears it with a RST instead of a FIN.
    """

    bytes: int | None = None
    seconds: float | None = None
    reset: bool = False

    @staticmethod
    def at_random(generator: random.Random) -> "Cut":
        """Mostly in the middle of something: within a head, a frame, a burst; at times while nothing is sent."""
        # By powers of two, so that cuts within the first hundred bytes are as likely as after a hundred thousand.
        bytes = None if generator.random() < 0.2 else int(2 ** generator.uniform(0, 17))
        return Cut(bytes, seconds=generator.uniform(0, 0.5), reset=generator.random() < 0.5)


NEVER = Cut()


class Connection:
    """One TCP connection with one HTTP/1.1 exchange on it."""

    def __init__(self, sock: socket.socket, cut: Cut):
        self.socket = sock
        self.cut = cut
        self.buffer = bytearray()
        self.received = 0
        self._requests = Requests("by hand")
        self._exchange: Exchange | None = None
        self._deadline = None if cut.seconds is None else asyncio.get_running_loop().time() + cut.seconds

    @classmethod
    async def open(cls, port: int, cut: Cut = NEVER, receive_buffer: int | None = None) -> "Connection":
        """Connects. `receive_buffer` is SO_RCVBUF in bytes, for readers that are to stall early.

        Raises PeerClosed when nobody listens.
        """
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError as error:
            sock.close()
            raise PeerClosed(str(error)) from None
        except BaseException:
            sock.close()
            raise
        return cls(sock, cut)

    def close(self) -> None:
        if self._exchange is not None:
            self._exchange.finish(is_whole=False)
        if self.cut.reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def send(self, data: bytes) -> None:
        self._requests.add(data)
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except OSError as error:
            raise PeerClosed(str(error)) from None

    async def more(self) -> None:
        """Receives what there is into the buffer, never beyond the cut."""
        want = 65536
        if self.cut.bytes is not None:
            want = min(want, self.cut.bytes - self.received)
            if want <= 0:
                raise WasCut
        # A socket that always has something never lets the loop's timers run.
        await asyncio.sleep(0)
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            raise WasCut
        try:
            async with asyncio.timeout_at(self._deadline):
                data = await asyncio.get_running_loop().sock_recv(self.socket, want)
        except TimeoutError:
            raise WasCut from None
        except OSError as error:
            raise PeerClosed(str(error)) from None
        if not data:
            raise PeerClosed("end of stream")
        self.received += len(data)
        self.buffer += data

    async def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            await self.more()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def line(self) -> bytes:
        """One line without its CRLF."""
        while (end := self.buffer.find(b"\r\n")) < 0:
            await self.more()
        data = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return data

    async def request(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> "Answer":
        """Sends a request and reads the answer's head; the body is still to be read."""
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return await self.answer()

    async def answer(self) -> "Answer":
        """Reads the head of an answer, interim ones (1xx but 101) skipped."""
        while True:
            version, status, *_ = (await self.line()).split(b" ", 2)
            assert version == b"HTTP/1.1", version
            headers: dict[str, str] = {}
            while line := await self.line():
                name, _, value = line.partition(b":")
                headers[name.decode().lower()] = value.strip().decode()
            if not 100 <= int(status) < 200 or int(status) == 101:
                return Answer(int(status), headers, self, self._begin(int(status), headers))

    def _begin(self, status: int, headers: dict[str, str]) -> Exchange:
        if self._exchange is not None:
            self._exchange.finish(is_whole=False)
        self._exchange = self._requests.next()
        self._exchange.answered(status, headers.items())
        if status == 101:
            self._requests.stop()
        return self._exchange


@dataclass
class Answer:
    """A head that was read, and the way to its body. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    connection: Connection
    exchange: Exchange

    async def chunks(self):
        """The body's bytes as they come; ends with the body, raises PeerClosed when it is torn."""
        async for data in self._chunks():
            self.exchange.received(data)
            yield data
        self.exchange.finish()

    async def _chunks(self):
        connection = self.connection
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                size = int((await connection.line()).split(b";")[0], 16)
                if size == 0:
                    while await connection.line():
                        pass  # Trailers.
                    return
                while size:  # Hands on what is there: an event need not wait for the end of its chunk.
                    if not connection.buffer:
                        await connection.more()
                    data = await connection.exactly(min(size, len(connection.buffer)))
                    size -= len(data)
                    yield data
                assert await connection.exactly(2) == b"\r\n", "a chunk does not end with CRLF"
        else:
            left = int(self.headers.get("content-length", 0))
            while left:
                if not connection.buffer:
                    await connection.more()
                data = await connection.exactly(min(left, len(connection.buffer)))
                left -= len(data)
                yield data

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])


@dataclass
class Follower:
    """A reader with a cursor that may change wires. Log events go to `sink`; `stream.*` are kept in `control`.

    A `sink` that returns true ends the following.
    """

    port: int
    token: str
    sink: object
    cursor: str | None = None
    device: str | None = None
    path: str = "/v1/events"
    query: dict = field(default_factory=dict)
    control: list[dict] = field(default_factory=list)
    receive_buffer: int | None = None
    wait: float = 25
    limit: int = 1000
    expects_gap: bool = False

    async def follow(self, wire: str, cut: Cut = NEVER) -> str:
        """Reads until the cut, the server's end or the sink's; says which: `cut`, `closed`, `done`, `end:<reason>`,
        `refused:<status>`."""
        connection = None
        try:
            connection = await Connection.open(self.port, cut, self.receive_buffer)
            return await getattr(self, f"_{wire}")(connection)
        except WasCut:
            return "cut"
        except PeerClosed:
            return "closed"
        finally:
            if connection is not None:
                connection.close()

    def _headers(self, **more: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.device is not None:
            headers["Comblang-Device"] = self.device
        return headers | more

    def _target(self, path: str, **more) -> str:
        query = self.query | more
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    def take(self, envelope: dict) -> str | None:
        """Advances the cursor and hands the event on; the reason to stop, if any."""
        kind = envelope["type"]
        if kind.startswith("stream."):
            self.control.append(envelope)
            if kind == "stream.ready" and self.cursor is not None and not self.expects_gap:
                assert envelope["data"]["resumed"], f"resuming from {self.cursor} failed: {envelope}"
            if kind == "stream.end":
                return f"end:{envelope['data']['reason']}"
            self.cursor = envelope["id"]
            return None
        if kind == "typing":
            return None  # Ephemeral: it has no place in the log.
        self.cursor = envelope["id"]
        return "done" if self.sink(envelope) else None

    async def _sse(self, connection: Connection) -> str:
        resume = {"Last-Event-ID": self.cursor} if self.cursor else {}
        answer = await connection.request(
            "GET", self._target(f"{self.path}/stream"), self._headers(Accept="text/event-stream", **resume))
        if answer.status != 200:
            return f"refused:{answer.status}"
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        parser = EventSourceParser()
        async for chunk in answer.chunks():
            for frame in parser.feed(chunk):
                envelope = json.loads(frame.data)
                assert envelope["type"] == frame.event, frame
                if "id" in envelope:
                    assert envelope["id"] == frame.id, frame
                if reason := self.take(envelope):
                    return reason
        return "closed"

    async def _ndjson(self, connection: Connection) -> str:
        after = {"after": self.cursor} if self.cursor else {}
        answer = await connection.request(
            "GET", self._target(f"{self.path}/stream", **after), self._headers(Accept="application/x-ndjson"))
        if answer.status != 200:
            return f"refused:{answer.status}"
        assert answer.headers["content-type"].startswith("application/x-ndjson"), answer.headers
        text = b""
        async for chunk in answer.chunks():
            *lines, text = (text + chunk).split(b"\n")
            for line in filter(None, lines):
                if reason := self.take(json.loads(line)):
                    return reason
        return "closed"

    async def _poll(self, connection: Connection) -> str:
        """Polls on one kept connection until the cut or the sink's end."""
        while True:
            after = {"after": self.cursor} if self.cursor else {}
            answer = await connection.request(
                "GET", self._target(self.path, wait=self.wait, limit=self.limit, **after), self._headers())
            body = await answer.body()
            if answer.status != 200:
                return f"refused:{answer.status}"
            page = json.loads(body)
            for envelope in page["events"]:
                if reason := self.take(envelope):
                    return reason
            self.cursor = page["cursor"]

    async def _websocket(self, connection: Connection) -> str:
        after = {"after": self.cursor} if self.cursor else {}
        key = base64.b64encode(os.urandom(16)).decode()
        answer = await connection.request("GET", self._target("/v1/ws", **after), self._headers(**{
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}))
        if answer.status != 101:
            return f"refused:{answer.status}"
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert answer.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        reason = None
        while True:
            opcode, payload = await self._websocket_frame(connection)
            if opcode == 0x1:
                answer.exchange.frame(payload)
                reason = self.take(json.loads(payload)) or reason
                if reason == "done":
                    return reason
            elif opcode == 0x8:
                return reason or "closed"
            elif opcode == 0x9:
                await connection.send(_masked(0xA, payload))

    async def _websocket_frame(self, connection: Connection) -> tuple[int, bytes]:
        first, second = await connection.exactly(2)
        assert first & 0x80 and not first & 0x70, "this server neither fragments nor extends"
        assert not second & 0x80, "a server's frame is not masked"
        length = second
        if length == 126:
            (length,) = struct.unpack("!H", await connection.exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await connection.exactly(8))
        return first & 0xF, await connection.exactly(length)


def _masked(opcode: int, payload: bytes) -> bytes:
    """A short client frame (a control frame is at most 125 bytes)."""
    mask = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
