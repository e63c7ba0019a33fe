"""An HTTP proxy that does to streams what bad ones in the world do."""

import asyncio
import contextlib

from .tap import Tap

CHUNK = 64 * 1024
HEAD_END = b"\r\n\r\n"


class FaultProxy:
    """Passes requests to one server, each over a connection of its own.

    - `hold_bytes`: what a response's body (or a WebSocket) says is held back until so much has come, or its end.
    - `idle_seconds`: a connection on which nothing passes for so long is cut, without a word.
    - `refuses_upgrades`: a request to upgrade is answered by a page of the proxy's own.
    - `refuses_streams`: the connection of an SSE request is cut as soon as its answer begins.
    """

    def __init__(
        self, port: int, hold_bytes: int = 0, idle_seconds: float | None = None, refuses_upgrades: bool = False,
        refuses_streams: bool = False,
    ):
        self.server_port = port
        self.hold_bytes = hold_bytes
        self.idle_seconds = idle_seconds
        self.refuses_upgrades = refuses_upgrades
        self.refuses_streams = refuses_streams
        self.cut = self.refused = 0
        self._connections: set[asyncio.Task] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "FaultProxy":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._listener.close()
        self.cut_all()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut_all(self) -> None:
        """Cuts every connection that there is."""
        for task in self._connections:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        try:
            await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            # As a cut cable does: no closing handshake of any kind.
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(HEAD_END)
        fields = head.lower()
        is_upgrade = b"\r\nupgrade: websocket" in fields
        if is_upgrade and self.refuses_upgrades:
            self.refused += 1
            page = b"<html>Access denied by the school's filter</html>"
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                % (len(page), page))
            await writer.drain()
            writer.close()
            return
        if not is_upgrade:
            # One request a connection, so that its answer ends where the connection does.
            lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
            head = b"\r\n".join([*lines, b"Connection: close"]) + HEAD_END
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.server_port)
        tap = Tap("through a proxy")
        try:
            tap.sent(head)
            upstream.write(head)
            is_stream = b"/stream?" in head.split(b"\r\n")[0]
            await self._pass_both_ways((reader, upstream), (upstream_reader, writer), is_stream, tap)
        finally:
            tap.close()
            upstream.transport.abort()

    async def _pass_both_ways(self, up, down, is_stream: bool, tap: Tap) -> None:
        heard = [asyncio.get_running_loop().time()]
        tasks = [
            asyncio.create_task(self._pass(*up, heard, tap)),
            asyncio.create_task(self._answer(*down, heard, is_stream, tap))]
        try:
            while not tasks[1].done():
                now = asyncio.get_running_loop().time()
                left = None if self.idle_seconds is None else heard[0] + self.idle_seconds - now
                if left is not None and left <= 0:
                    self.cut += 1
                    return
                await asyncio.wait([tasks[1]], timeout=left)
            # All of the answer goes out before the connection does.
            with contextlib.suppress(OSError):
                await down[1].drain()
                down[1].close()
                await down[1].wait_closed()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[float], tap: Tap
    ) -> None:
        while data := await reader.read(CHUNK):
            heard[0] = asyncio.get_running_loop().time()
            tap.sent(data)
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader, writer, heard: list[float], is_stream: bool, tap: Tap) -> None:
        head = await reader.readuntil(HEAD_END)
        tap.received(head)
        writer.write(head)
        held = b""
        while data := await reader.read(CHUNK):
            heard[0] = asyncio.get_running_loop().time()
            tap.received(data)
            if is_stream and self.refuses_streams:
                self.refused += 1
                return
            held += data
            if len(held) >= self.hold_bytes:
                writer.write(held)
                await writer.drain()
                held = b""
        writer.write(held)
