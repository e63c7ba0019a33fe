"""Hears what passes over a connection between a program or a browser and a server of ours.

`recorded(url)` is the way in: the same server by a port that hands every byte on and has each exchange written down.
"""

import asyncio
import contextlib
import re
import threading
from collections import deque

import h11

from . import exchanges
from .exchanges import Exchange

CHUNK = 64 * 1024
HEAD_BYTES_MAX = 256 * 1024
REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]\r?\n")


class Requests:
    """The requests in what a client sent, whether HTTP's grammar allows them or not.

    What follows a request that cannot be read is not looked at: nor does the server.
    """

    def __init__(self, client: str):
        self.client = client
        self.waiting: deque[Exchange] = deque()
        self._parser: h11.Connection | None = _server_side()
        self._current: Exchange | None = None
        self._unread = b""

    def add(self, data: bytes) -> None:
        if self._parser is None or not data:
            return
        self._unread = (self._unread + data)[:HEAD_BYTES_MAX] if self._current is None else b""
        try:
            self._parser.receive_data(data)
            self._take()
        except h11.RemoteProtocolError:
            self._parser = None
            if self._current is None:
                self.waiting.append(_unreadable(self.client, self._unread))
            else:
                self._current.entry["readable"] = False

    def stop(self) -> None:
        """What comes from here on are no requests."""
        self._parser = None

    def next(self) -> Exchange:
        """The request to which an answer has come, which may have come before all of it was sent."""
        if not self.waiting:
            self.waiting.append(_unreadable(self.client, self._unread))
        exchange = self.waiting.popleft()
        if exchange is self._current:
            self._current.entry["readable"] = False
        return exchange

    def _take(self) -> None:
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                self._current = Exchange(
                    self.client, event.method.decode(), event.target.decode("latin-1"),
                    [(name.decode(), value.decode("latin-1")) for name, value in event.headers],
                    is_readable=event.http_version in (b"1.0", b"1.1"))
                self.waiting.append(self._current)
            elif isinstance(event, h11.Data):
                self._current.sent(event.data)
            elif isinstance(event, h11.EndOfMessage):
                rest = self._parser.trailing_data[0]
                self._parser, self._current, self._unread = _server_side(), None, rest
                if not rest:
                    return
                self._parser.receive_data(rest)
            else:
                return


def _server_side() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)


def _unreadable(client: str, data: bytes) -> Exchange:
    """A request of which no more is known than its first line, if that."""
    line = REQUEST_LINE.match(data)
    method, target = (line[1].decode(), line[2].decode()) if line else ("", "")
    return Exchange(client, method, target, (), is_readable=False)


class Tap:
    """One connection, heard in both directions. What is no HTTP/1 passes unheard."""

    def __init__(self, client: str):
        self.requests = Requests(client)
        self._exchange: Exchange | None = None
        self._parser: h11.Connection | None = None
        self._frames: Frames | None = None

    def sent(self, data: bytes) -> None:
        self.requests.add(data)

    def received(self, data: bytes) -> None:
        if self._frames is not None:
            self._frames.add(data)
            return
        with contextlib.suppress(h11.RemoteProtocolError, h11.LocalProtocolError):
            while data:
                if self._exchange is None:
                    if not self.requests.waiting:
                        return
                    self._begin()
                self._parser.receive_data(data)
                data = self._take()

    def close(self) -> None:
        """The connection is gone: of an answer without a length this is the end."""
        if self._exchange is None:
            return
        with contextlib.suppress(h11.RemoteProtocolError):
            if self._frames is None:
                self._parser.receive_data(b"")
                self._take()
        if self._exchange is not None:
            self._exchange.finish(is_whole=False)

    def _begin(self) -> None:
        self._exchange = self.requests.next()
        entry = self._exchange.entry
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        upgrade = [("Upgrade", "websocket"), ("Connection", "upgrade")] if "upgrade" in entry["fields"] else []
        # All that the form of an answer depends on.
        self._parser.send(h11.Request(method=entry["method"] or "GET", target="/", headers=[("Host", "x"), *upgrade]))
        self._parser.send(h11.EndOfMessage())

    def _take(self) -> bytes:
        """Takes what the parser has; returns what belongs to the next answer."""
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._answered(event)
                self.requests.stop()
                self._frames = Frames(self._exchange)
                self._frames.add(self._parser.trailing_data[0])
                return b""
            if isinstance(event, h11.Response):
                self._answered(event)
            elif isinstance(event, h11.Data):
                self._exchange.received(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._exchange.finish()
                self._exchange = None
                return self._parser.trailing_data[0]
            elif not isinstance(event, h11.InformationalResponse):
                return b""

    def _answered(self, event) -> None:
        fields = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
        self._exchange.answered(event.status_code, fields)


class Frames:
    """The text frames of a server that neither masks nor fragments nor extends."""

    def __init__(self, exchange: Exchange):
        self._exchange = exchange
        self._buffer = bytearray()

    def add(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 0x7F, 2
            if length >= 126:
                start = 4 if length == 126 else 10
                length = int.from_bytes(self._buffer[2:start])
            if len(self._buffer) < start + length:
                return
            if self._buffer[0] & 0xF == 0x1:
                self._exchange.frame(bytes(self._buffer[start : start + length]))
            del self._buffer[: start + length]


# MARK: A port that hears


class _Ports:
    """Ports of 127.0.0.1 that hand on to servers, on a thread of their own: a test may be waiting for its program."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._by_target: dict[int, int] = {}
        self._listeners: list[asyncio.Server] = []
        # The loop itself holds no task, and asyncio lets go of one whose client has said all.
        self._connections: set[asyncio.Task] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def port_to(self, target: int) -> int:
        if target not in self._by_target:
            opening = asyncio.run_coroutine_threadsafe(self._open(target), self._loop)
            self._by_target[target] = opening.result(10)
        return self._by_target[target]

    async def _open(self, target: int) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            self._connections.add(task)
            try:
                await _hand_on(reader, writer, target)
                writer.close()
                await writer.wait_closed()
            except (OSError, asyncio.CancelledError):
                pass  # What is torn on one side is torn on the other.
            finally:
                writer.transport.abort()
                self._connections.discard(task)

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._listeners.append(listener)
        return listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cuts all connections, each with what was heard of it written down, and ends the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
    tap = Tap("program")

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, hear) -> None:
        while data := await source.read(CHUNK):
            hear(data)
            sink.write(data)
            await sink.drain()
        sink.write_eof()

    async def carry_up() -> None:
        try:
            await carry(reader, far_writer, tap.sent)
        except Exception:
            down.cancel()
            raise

    # The server's end is the end: it closes whole connections.
    down = asyncio.create_task(carry(far_reader, writer, tap.received))
    up = asyncio.create_task(carry_up())
    try:
        await down
    except asyncio.CancelledError:
        await up
        raise
    finally:
        up.cancel()
        tap.close()
        far_writer.transport.abort()
        await asyncio.gather(up, return_exceptions=True)


_ports: _Ports | None = None
URL = re.compile(r"(?P<scheme>http|ws)://127\.0\.0\.1:(?P<port>\d+)")


def recorded(url: str) -> str:
    """The same URL by a port where all is written down, if it is a running server of ours, in clear text."""

    def replaced(match: re.Match) -> str:
        global _ports
        if not exchanges.is_ours(int(match["port"])):
            return match[0]
        _ports = _ports or _Ports()
        return f"{match['scheme']}://127.0.0.1:{_ports.port_to(int(match['port']))}"

    return URL.sub(replaced, url)


def end() -> None:
    """Hands nothing on any more."""
    global _ports
    ports, _ports = _ports, None
    if ports is not None:
        ports.close()
