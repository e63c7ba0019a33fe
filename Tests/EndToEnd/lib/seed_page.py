"""The seed's own client functions in Chromium with a fake camera, on a WebSocket that speaks the seed's frames."""

import http.server
import threading
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from .browser import PICTURES, chromium
from .server import until
from .tap import recorded

FOLDER = Path(__file__).resolve().parents[1] / "seed"
FRAMES_MIN = 20


@contextmanager
def page_server():
    """The fixture on an origin of its own; its URL."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=FOLDER)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}/page.html"
        pages.shutdown()


class SeedPage:
    """One open page."""

    def __init__(self, page):
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def connect(self, url: str) -> str:
        """Opens the page's WebSocket; its user id in the room."""
        await self.page.evaluate("url => connect(url)", recorded(url))
        return await until(lambda: self.page.evaluate("seen.me"), "the welcome")

    async def disconnect(self) -> None:
        """As closing the tab does: 1001."""
        await self.page.close()

    async def click(self, what: str) -> None:
        await self.page.click(what)

    async def join(self, user: str) -> None:
        """Clicks on the newest invitation of a user."""
        bubble = f'[data-join-call="{user}"]'
        await self.page.wait_for_selector(bubble)
        await self.page.locator(bubble).last.click()

    async def answer_modal(self, accept: bool) -> None:
        await self.page.wait_for_selector("#incoming.active")
        await self.page.click("#acceptBtn" if accept else "#rejectBtn")

    async def media(self) -> dict:
        return await self.page.evaluate("media()")

    async def errors(self) -> list[dict]:
        """The `error` frames that came."""
        return [frame for frame in await self.page.evaluate("seen.frames") if frame["type"] == "error"]

    async def was_told(self, user: str, content: str) -> bool:
        """Whether a signal of the user came with this content."""
        frames = await self.page.evaluate("seen.frames")
        return any(
            frame["type"] == "signal" and (frame["userId"], frame["content"]) == (user, content) for frame in frames)

    async def system_messages(self) -> list[str]:
        return await self.page.evaluate("seen.system")

    async def sees_video(self) -> dict:
        """Waits until the other side's video is shown and one's own is sent."""

        async def enough() -> dict | None:
            media = await self.media()
            flows = min(media["framesDecoded"], media["framesSent"]) >= FRAMES_MIN and media["width"] > 0
            return media if flows else None

        return await until(enough, "video flows in both directions", 40)


def seed_browser():
    """Chromium; what it is asked for are pages."""
    # The seed asks five STUN servers of Google. A test stays on loopback.
    return chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


@asynccontextmanager
async def seed_page(browser, url: str, name: str):
    """A fresh page; a picture of its end is kept under `name`."""
    context = await browser.new_context(viewport={"width": 900, "height": 700})
    page = SeedPage(await context.new_page())
    try:
        await page.page.goto(url)
        yield page
        assert not page.complaints, page.complaints
    finally:
        if not page.page.is_closed():
            PICTURES.mkdir(exist_ok=True)
            await page.page.screenshot(path=PICTURES / f"{name}.png")
        await context.close()
