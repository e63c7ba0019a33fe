"""The far side of a bridge: the reference room as a process, people in it, and a proxy that breaks what passes."""

import asyncio
import json
import random
import re
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import connect

from .server import ROOT, _running, until, wait_until

PROGRAM = ROOT / "examples/reference-room/room.js"


class RemoteRoom:
    """`examples/reference-room/room.js` on a port that it keeps over restarts, as it does its history."""

    def __init__(self, directory: Path, history_count: int = 100):
        directory.mkdir(parents=True, exist_ok=True)
        self.history = directory / "history.ndjson"
        self.log = directory / "room.log"
        self.history_count = history_count
        self.port = 0
        self.process: subprocess.Popen | None = None

    def start(self) -> "RemoteRoom":
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["node", PROGRAM, "--port", str(self.port), "--history", self.history, "--history-count",
                 str(self.history_count)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _running.add(self.process)

        def listening():
            assert self.process.poll() is None, self.log.read_text()
            return re.search(r"listening on ws://127\.0\.0\.1:(\d+)", self.log.read_text())

        self.port = int(wait_until(listening, "the reference room listens")[1])
        return self

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        _running.discard(self.process)

    def discard(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def said(self) -> list[dict]:
        """All messages that the room ever took, in order."""
        if not self.history.exists():
            return []
        lines = self.history.read_text().split("\n")
        return [json.loads(line)["message"] for line in lines if line.endswith("}")]


class RemoteUser:
    """Somebody in a remote room, by the seed's frames; comes back when the connection breaks, as the seed's page does
    when it is loaded again: under a new id, unless `user_id` is given."""

    def __init__(self, port: int, room: str, username: str, user_id: str | None = None):
        query = {"username": username, "color": "#123456"} | ({"userId": user_id} if user_id else {})
        self.url = f"ws://127.0.0.1:{port}/ws/{room}?{urlencode(query)}"
        self.username = username
        self.id: str | None = None
        self.frames: list[dict] = []
        self.users: list[dict] = []
        self.socket = None
        self._waiters: asyncio.Event = asyncio.Event()

    async def __aenter__(self) -> "RemoteUser":
        self._task = asyncio.create_task(self._run())
        await until(lambda: self.id, f"{self.username} is welcomed")
        return self

    async def __aexit__(self, *_) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Closes the page."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with connect(self.url, max_size=None, ping_interval=None, open_timeout=5) as socket:
                    async for text in socket:
                        frame = json.loads(text)
                        if frame["type"] == "welcome":
                            self.id, self.users, self.socket = frame["userId"], frame["users"], socket
                        self.frames.append(frame)
            except (OSError, websockets.WebSocketException, TimeoutError):
                pass
            self.socket = None
            await asyncio.sleep(0.1)

    async def send(self, frame: dict) -> bool:
        """Whether it went out; that it arrived only the echo tells."""
        if self.socket is None:
            return False
        try:
            await self.socket.send(json.dumps(frame))
            return True
        except websockets.WebSocketException:
            return False

    async def say(self, content: str, metadata: dict | None = None) -> bool:
        return await self.send({"type": "message", "content": content} | ({"metadata": metadata} if metadata else {}))

    async def signal(self, to: str, content: dict) -> bool:
        return await self.send({"type": "signal", "to": to, "content": json.dumps(content)})

    def of_type(self, type: str) -> list[dict]:
        return [frame for frame in self.frames if frame["type"] == type]

    def messages(self) -> list[dict]:
        return self.of_type("message")

    def signals(self) -> list[dict]:
        return [frame | {"inner": json.loads(frame["content"])} for frame in self.of_type("signal")]

    async def wait_for(self, matches: Callable[[dict], bool], what: str = "a frame", seconds: float = 20) -> dict:
        return await until(lambda: next((frame for frame in self.frames if matches(frame)), None), what, seconds)

    async def hears(self, content: str, seconds: float = 20) -> dict:
        return await self.wait_for(
            lambda frame: frame["type"] == "message" and frame["content"] == content, f"message {content!r}", seconds)

    async def wait_for_signal(self, type: str, seconds: float = 20) -> dict:
        return await until(
            lambda: next((signal for signal in self.signals() if signal["inner"].get("type") == type), None),
            f"signal {type}", seconds)


class CuttingProxy:
    """Passes TCP on to a port, and cuts connections when told to: at once, with what is on its way lost."""

    def __init__(self, target: Callable[[], int], tls: ssl.SSLContext | None = None):
        self.target = target
        self.tls = tls
        self.port = 0
        self._open: set[tuple] = set()
        self.is_closed = False

    async def __aenter__(self) -> "CuttingProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        self.cut()

    async def _serve(self, reader, writer) -> None:
        if self.is_closed:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target())
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._open.add(pair)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self._open.discard(pair)
            for side in pair:
                side.transport.abort()

    async def _pump(self, reader, writer) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    def cut(self, generator: random.Random | None = None) -> int:
        """Cuts all connections, or one at random. Returns how many."""
        pairs = list(self._open)
        if generator is not None and pairs:
            pairs = [generator.choice(pairs)]
        for pair in pairs:
            for side in pair:
                side.transport.abort()
        return len(pairs)
