"""Real Chromium pages that import the module as any page would."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, async_playwright

from .ledger import Ledger, Sightings
from .server import until
from .tap import recorded

# Where pictures of a run are looked for.
PICTURES = Path(__file__).resolve().parents[1] / "out"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    # A page in the background would show fewer frames.
    "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
]
_numbers = itertools.count(1)

# What the tests keep of what the module tells, in `seen`.
HARNESS = """async () => {
    const { Comblang } = await import(location.origin + "/client/comblang.js");
    window.Comblang = Comblang;
    window.seen = { events: [], ephemeral: [], wires: [], gaps: [], errors: [], states: [], calls: [] };
    window.listen = async (options) => {
        window.stream = comblang.events(options);
        stream.on("event", (event) => seen.events.push(event));
        stream.on("ephemeral", (event) => seen.ephemeral.push(event));
        stream.on("wire", (change) => seen.wires.push(change));
        stream.on("gap", (gap) => seen.gaps.push(gap));
        stream.on("error", (problem) => seen.errors.push(problem.slug));
        stream.on("state", (state) => seen.states.push(state));
        await stream.ready;
        return stream.cursor;
    };
    window.watchCall = (call) => {
        window.call = call;
        window.theirs = new Map();
        const note = (what, detail) => seen.calls.push([what, detail]);
        call.on("stream", ({ user, stream }) => {
            const video = theirs.get(user) ?? document.createElement("video");
            theirs.set(user, video);
            if (video.srcObject === stream) return;
            document.body.append(Object.assign(video, { autoplay: true, muted: true, srcObject: stream }));
        });
        for (const what of ["peer", "left", "wire"]) call.on(what, (detail) => note(what, detail));
        call.on("problem", (problem) => note("problem", { slug: problem.slug, message: problem.message }));
        call.on("participant", (participant) => note("participant", participant));
        call.on("ended", ({ reason }) => note("ended", { reason }));
        return call.id;
    };
    /** The offer that would go out, or did: by its ufrag one sees a restart. */
    window.ufrag = (user) => {
        const sdp = call.peerConnection(user)?.localDescription?.sdp ?? "";
        return /a=ice-ufrag:(\\S+)/.exec(sdp)?.[1] ?? null;
    };
    window.inbound = async (user) => {
        const found = { framesDecoded: 0, audioPackets: 0, width: theirs.get(user)?.videoWidth ?? 0 };
        (await call.peerConnection(user)?.getStats())?.forEach((one) => {
            if (one.type !== "inbound-rtp") return;
            if (one.kind === "video") found.framesDecoded = one.framesDecoded ?? 0;
            else found.audioPackets = one.packetsReceived ?? 0;
        });
        return found;
    };
}"""


@contextlib.asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    """Chromium with fake cameras, and what more it is to be told."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            await browser.close()


class ModulePage:
    """A page with the module, signed in as a guest of its own unless its context has a session already."""

    def __init__(self, page):
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.id = ""

    @classmethod
    async def open(cls, browser: Browser | BrowserContext, url: str, name: str = "page") -> "ModulePage":
        self = cls(await browser.new_page())
        # A page of the origin without a policy of its own.
        await self.page.goto(f"{recorded(url)}/healthz")
        await self.page.evaluate(HARNESS)
        username = f"{name}-{next(_numbers)}"
        self.id = await self.page.evaluate(
            """async (username) => {
                window.comblang = new Comblang();
                if (!comblang.isSignedIn) await comblang.signUp({ username });
                return comblang.user.id;
            }""", username)
        return self

    async def run(self, script: str, argument=None):
        return await self.page.evaluate(script, argument)

    async def join_room(self, room: str) -> None:
        await self.run("room => comblang.request('PUT', `/v1/rooms/${room}/members/me`, { body: {} })", room)

    async def seen(self) -> dict:
        return await self.run("seen")

    async def wait_for(self, script: str, what: str, seconds: float = 30, argument=None):
        """Until the script (an expression, or a function of `argument`) gives something truthy."""

        async def found():
            return await self.run(script, argument)

        try:
            return await until(found, what, seconds)
        except AssertionError as error:
            # Events are many; what was not told as one is the story.
            seen = {key: value[-20:] for key, value in (await self.seen()).items() if key != "events"}
            raise AssertionError(f"{error}; {seen}; {self.complaints}") from None

    async def check(self, ledger: Ledger, reader: str) -> None:
        """Every acknowledged message came once and in order, with no gap and no complaint."""
        seen = await self.seen()
        sightings = Sightings(reader)
        for event in seen["events"]:
            if event["type"] == "message.created":
                sightings.see(event)
        ledger.check(sightings.messages, reader)
        assert not seen["gaps"] and not seen["errors"], seen
        assert not self.complaints, self.complaints

    async def wait_for_message(self, message: dict, seconds: float = 60) -> None:
        await self.wait_for(
            "id => seen.events.some((event) => event.data.id === id)", "the last message is in the page", seconds,
            message["id"])
