"""Participants of a mesh call: one in a Chromium page, one by aiortc. Both speak to the others through Comblang alone."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from aiortc import RTCConfiguration

from .client import Client
from .inbox import Inbox
from .peer import Peer, relay_only, split_candidates
from .wires import Follower

SCRIPT = (Path(__file__).parent / "party.js").read_text()


class PageParty:
    """In a page of its own, on the server's own origin."""

    def __init__(self, client: Client, page):
        self.client, self.page = client, page

    @classmethod
    async def listening(cls, client: Client, browser) -> "PageParty":
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{client.server.recorded_url}/healthz")
        await page.evaluate(SCRIPT)
        await page.evaluate("token => party.listen(token)", client.token)
        return cls(client, page)

    async def start(self, room: str, relayed: bool) -> str:
        return await self.page.evaluate("([room, relayed]) => party.start(room, relayed)", [room, relayed])

    async def join(self, call: str, relayed: bool) -> None:
        await self.page.evaluate("([call, relayed]) => party.join(call, relayed)", [call, relayed])

    async def connections(self) -> dict[str, dict]:
        """By user id: state, frames decoded, width of the picture, candidate types."""
        assert await self.page.evaluate("party.faults") == []
        return await self.page.evaluate("party.connections()")

    async def sees(self, others: list[str], frames: int) -> bool:
        found = await self.connections()
        return set(found) == set(others) and all(
            one["state"] == "connected" and one["frames"] >= frames and one["width"] > 0 for one in found.values())

    async def candidates(self) -> list[str]:
        """The lines of the candidates that it sent."""
        return await self.page.evaluate("party.candidates")

    async def report(self) -> None:
        await self.page.evaluate("party.report()")

    async def close(self) -> None:
        await self.page.context.close()


class PeerParty:
    """By aiortc, with one connection for each other participant."""

    def __init__(self, client: Client, inbox: Inbox, rgb: tuple[int, int, int]):
        self.client, self.inbox, self.rgb = client, inbox, rgb
        self.peers: dict[str, Peer] = {}
        self.call = ""
        self.configuration: RTCConfiguration | None = None
        self._sent: list[str] = []

    @classmethod
    @asynccontextmanager
    async def listening(cls, client: Client, rgb: tuple[int, int, int]):
        follower = Follower(client.server.port, client.token, None, cursor=await client.tail(), device=client.device)
        async with Inbox(follower, "sse") as inbox:
            party = cls(client, inbox, rgb)
            task = asyncio.create_task(party._run())
            try:
                yield party
                if task.done():
                    task.result()
            finally:
                task.cancel()
                await asyncio.gather(task, *(peer.close() for peer in party.peers.values()), return_exceptions=True)

    async def join(self, call: str, relayed: bool) -> None:
        self.call = call
        joined = await self.client.post(f"{call}/join")
        self.configuration = relay_only(joined["iceServers"]) if relayed else None
        for other in joined["peers"]:
            peer = self._connect(other["user"])
            sdp, candidates = split_candidates(await peer.offer())
            await self._signal(other["user"], type="offer", sdp=sdp)
            await self._send_candidates(other["user"], candidates)

    async def _signal(self, to: str, **payload) -> dict:
        return await self.client.post(f"{self.call}/signals", {"to": to, **payload}, expect=202)

    async def _send_candidates(self, to: str, candidates: list[dict]) -> None:
        self._sent += [candidate["candidate"] for candidate in candidates]
        await self._signal(to, type="candidates", candidates=candidates, end=True)

    def _connect(self, user: str) -> Peer:
        self.peers[user] = Peer(self.rgb, self.configuration)
        return self.peers[user]

    async def _run(self) -> None:
        while True:
            event = await self.inbox.wait_for(lambda event: event["type"] == "signal", "a signal", 3600)
            signal = event["data"]
            if signal["type"] == "offer":
                peer = self._connect(signal["from"])
                sdp, candidates = split_candidates(await peer.answer(signal["sdp"]))
                await self._signal(signal["from"], type="answer", offer=signal["id"], sdp=sdp)
                await self._send_candidates(signal["from"], candidates)
            elif signal["type"] == "answer":
                await self.peers[signal["from"]].accept(signal["sdp"])
            elif signal["type"] == "candidates":
                await self.peers[signal["from"]].add_candidates(signal["candidates"])

    async def sees(self, others: list[str], frames: int) -> bool:
        return set(self.peers) == set(others) and all(
            peer.connection.connectionState == "connected" and len(peer.seen) >= frames
            for peer in self.peers.values())

    async def candidates(self) -> list[str]:
        """The lines of the candidates that it sent."""
        return self._sent
