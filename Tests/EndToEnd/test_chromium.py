"""A Chromium page with a native EventSource on a ticket URL, through everything that ends a stream."""

import asyncio
import http.server
import json
import threading
from pathlib import Path

import httpx
import pytest

from lib.browser import PICTURES, chromium
from lib.client import Client
from lib.ledger import Ledger, Sightings
from lib.server import Server, until
from lib.wires import Follower

PAGE = Path(__file__).parent / "page.html"
# Where a failed run's picture is looked for, and a good one's too.


@pytest.fixture
def page_url():
    """The page on an origin of its own, so that the gateway's CORS is what lets it read."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = PAGE.read_bytes() if self.path == "/" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}/"
        pages.shutdown()


class Talker:
    """Posts a message every few milliseconds until told to stop; a restart makes it ask again with the same key."""

    def __init__(self, client: Client, room: str, ledger: Ledger):
        self.client, self.room, self.ledger = client, room, ledger
        self.stopping = False

    async def run(self) -> None:
        number = 0
        while not self.stopping:
            number += 1
            answer = None
            while answer is None or answer.status_code == 503:
                try:
                    answer = await self.client.request(
                        "POST", f"/v1/rooms/{self.room}/messages", {"content": f"number {number}"},
                        headers={"Idempotency-Key": f"talk-{number}"})
                except httpx.TransportError:
                    pass  # The server is away for a moment.
                await asyncio.sleep(0.02)
            assert answer.status_code == 201, answer.text
            self.ledger.acknowledge(answer.json())


class Page:
    """The page in the browser, asked for what its EventSource has told it."""

    def __init__(self, page):
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def seen(self) -> dict:
        return await self.page.evaluate("seen")

    async def control(self, kind: str, reason: str | None = None) -> list[dict]:
        """The `stream.*` events of a kind."""
        return [event for event in (await self.seen())["control"]
                if event["type"] == kind and reason in (None, event["data"].get("reason"))]

    async def wait_for(self, kind: str, reason: str | None = None, count: int = 1, seconds: float = 30) -> None:
        async def enough() -> bool:
            return len(await self.control(kind, reason)) >= count

        await until(enough, f"{count} times {kind} {reason or ''}", seconds)

    async def check(self, ledger: Ledger) -> None:
        """Everything came once and in order, no resuming failed, and the browser never gave up."""
        seen = await self.seen()
        assert seen["fatal"] == 0, "the browser gave up"
        assert not await self.control("stream.gap")
        readies = await self.control("stream.ready")
        assert all(event["data"]["resumed"] for event in readies[1:]), readies
        sightings = Sightings("the page")
        for event in seen["messages"]:
            sightings.see(event)
        ledger.check(sightings.messages, "the page")
        assert not self.complaints
        story = [event["data"].get("reason", event["type"]) for event in seen["control"]]
        print(f"{len(ledger)} messages; {json.dumps(story)}")


async def end_streams_in_every_way(server: Server, reader: Client, page: Page) -> None:
    """Rotation, a drain, a kill, and a refusal for too many streams."""
    # The server ends the stream, the browser comes back with Last-Event-ID.
    await page.wait_for("stream.end", "rotate", 2)
    await page.wait_for("stream.ready", count=3)

    # The same port, the same data directory. A browser that is between two streams just then, as its stream rotated a
    # moment ago, hears of no drain: then once more.
    for _ in range(10):
        readies = len(await page.control("stream.ready"))
        assert await asyncio.to_thread(server.stop) == 0
        server.spawn()
        await asyncio.to_thread(server.wait_ready)
        await page.wait_for("stream.ready", count=readies + 1)
        if await page.control("stream.end", "drain"):
            break
    assert await page.control("stream.end", "drain")
    # The kill comes without a word to the browser.
    readies = len(await page.control("stream.ready"))
    await server.restart_after_kill()

    # Before the browser is back, its device has its 8 streams: a 429, which a browser must not see as one.
    others = [Follower(server.port, reader.token, lambda event: None) for _ in range(8)]
    holding = [asyncio.create_task(hold(other)) for other in others]
    await page.wait_for("stream.end", "limit", seconds=60)
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    await page.wait_for("stream.ready", count=readies + 1, seconds=60)


async def hold(follower: Follower) -> None:
    """Keeps one of the device's places taken, rotations notwithstanding."""
    while True:
        await follower.follow("sse")


async def test_a_native_event_source_survives_rotation_restart_and_refusal(server_factory, page_url):
    server: Server = server_factory(stream_rotate_seconds=2).start()
    ledger = Ledger()
    reader, writer = await Client.sign_up(server, "reader"), await Client.sign_up(server, "writer")
    room = (await writer.create_room())["id"]
    await reader.join_room(room)
    async with chromium() as browser:
        page = Page(await browser.new_page(viewport={"width": 1000, "height": 900}))
        try:
            await page.page.goto(page_url)
            ticket = (await reader.post("/v1/stream-tickets", expect=201))["ticket"]
            await page.page.evaluate("url => listen(url)", f"{server.recorded_url}/v1/events/stream?ticket={ticket}")
            await page.wait_for("stream.ready")
            talker = Talker(writer, room, ledger)
            talking = asyncio.create_task(talker.run())
            await end_streams_in_every_way(server, reader, page)
            talker.stopping = True
            await talking
            last = await writer.say(room, "the end")
            ledger.acknowledge(last)

            async def has_last() -> bool:
                return last["id"] in [event["data"]["id"] for event in (await page.seen())["messages"]]

            await until(has_last, "the last message is in the page", 30)
            await page.check(ledger)
        finally:
            PICTURES.mkdir(exist_ok=True)
            await page.page.screenshot(path=PICTURES / "event-source.png", full_page=True)
    await reader.http.aclose()
    await writer.http.aclose()
