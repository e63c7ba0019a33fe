"""A WebRTC peer by aiortc that speaks to the other one through Comblang alone."""

import asyncio
import fractions

import aioice.ice
import numpy
from aiortc import (
    RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack)
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

# aioice leaves loopback out, and a test stays on it. Two addresses, so that there are candidates in the plural.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1", "127.0.0.2"]

WIDTH, HEIGHT = 160, 120


class ColorTrack(VideoStreamTrack):
    """A camera that sees one colour, with a white bar that moves by a step a frame: a still picture would not do."""

    def __init__(self, rgb: tuple[int, int, int]):
        super().__init__()
        self.rgb = rgb
        self.sent = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        picture = numpy.full((HEIGHT, WIDTH, 3), self.rgb, dtype=numpy.uint8)
        bar = self.sent * 4 % (WIDTH - 8)
        picture[: HEIGHT // 4, bar : bar + 8] = 255
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, fractions.Fraction(time_base)
        self.sent += 1
        return frame


def relay_only(given: dict) -> RTCConfiguration:
    """What Comblang answers as `iceServers`, so that nothing but the relay in it is used."""
    relays = [server for server in given["iceServers"] if "credential" in server]
    assert relays, given
    return RTCConfiguration(
        [RTCIceServer(server["urls"], server["username"], server["credential"]) for server in relays],
        iceTransportPolicy=RTCIceTransportPolicy.RELAY)


class Peer:
    """One side: sends its colour, and keeps what it sees of the other's."""

    def __init__(self, rgb: tuple[int, int, int], configuration: RTCConfiguration | None = None):
        self.connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.camera = ColorTrack(rgb)
        self.connection.addTrack(self.camera)
        self.seen: list[numpy.ndarray] = []
        self._watching: asyncio.Task | None = None
        self.connection.on("track", self._on_track)

    def _on_track(self, track) -> None:
        # A browser sends sound as well, which nobody here hears.
        if track.kind == "video":
            self._watching = asyncio.create_task(self._watch(track))

    async def _watch(self, track) -> None:
        while True:
            frame = await track.recv()
            self.seen.append(frame.to_ndarray(format="rgb24"))

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def answer(self, offer: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def add_candidates(self, candidates: list[dict]) -> None:
        """`RTCIceCandidateInit` objects, as they came in a signal."""
        for init in candidates:
            candidate = candidate_from_sdp(init["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = init["sdpMid"], init["sdpMLineIndex"]
            await self.connection.addIceCandidate(candidate)

    def colors_seen(self) -> list[tuple[int, ...]]:
        """The middle colour of the lower half (no bar there) of each frame."""
        return [tuple(int(v) for v in numpy.median(picture[HEIGHT // 2 :], axis=(0, 1))) for picture in self.seen]

    def bars_seen(self) -> list[int]:
        """Where the white bar is in each frame: the column of the brightest part of the upper quarter."""
        return [int(picture[: HEIGHT // 4].sum(axis=(0, 2)).argmax()) for picture in self.seen]

    async def close(self) -> None:
        await self.connection.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)


def split_candidates(sdp: str) -> tuple[str, list[dict]]:
    """An SDP as a trickling browser sends it, and its candidates as it sends them afterwards.

    aiortc gathers before it offers, so this makes the fifth phase of the seed.
    """
    kept, candidates, section, mid = [], [], -1, ""
    ufrag = next(line.partition(":")[2] for line in sdp.split("\r\n") if line.startswith("a=ice-ufrag:"))
    mids = [line.partition(":")[2] for line in sdp.split("\r\n") if line.startswith("a=mid:")]
    for line in sdp.split("\r\n"):
        if line.startswith("m="):
            section += 1
            mid = mids[section]
        if line.startswith("a=candidate:"):
            text = line.removeprefix("a=")
            candidates.append({"candidate": text, "sdpMid": mid, "sdpMLineIndex": section, "usernameFragment": ufrag})
        elif line != "a=end-of-candidates":
            kept.append(line)
    return "\r\n".join(kept), candidates
