"""Somebody who uses the page at `/`, in real Chromium."""

from .browser import PICTURES
from .server import until
from .tap import recorded

PHONE = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1200, "height": 850}}
ICE = {"stun_url": "stun:127.0.0.1:9"}


class Visitor:
    """Somebody with a browser window; whatever the browser complains of fails the test."""

    def __init__(self, page, name: str):
        self.page, self.name = page, name
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._console(message))

    def _console(self, message) -> None:
        url = message.location.get("url", "")
        # A candidate, or a report, that crossed the other side's leaving is refused; the browser says so by itself.
        has_crossed = "409" in message.text and url.endswith(("/signals", "/participants/me"))
        if message.type == "error" and not has_crossed:
            self.complaints.append(f"{message.text} {url}")

    @classmethod
    async def come(cls, browser, url: str, name: str, **how) -> "Visitor":
        self = cls(await (await browser.new_context(**how)).new_page(), name)
        await self.page.goto(recorded(url))
        return self

    async def enter(self) -> None:
        await self.page.fill("#name", self.name)
        await self.page.click("text=Masuk sebagai tamu")
        await self.page.wait_for_selector("#app:not([hidden])")
        await self.wait_for("document.querySelector('#title').textContent === 'Lobby'", "the lobby is open")

    async def wait_for(self, script: str, what: str, seconds: float = 40) -> None:
        # `wait_for_function` would be eval, which the page's policy forbids.
        async def found():
            return await self.page.evaluate(script)

        await until(found, f"{what}, for {self.name}; complaints: {self.complaints}", seconds)

    async def say(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def sees_video(self) -> None:
        await self.wait_for(
            "document.querySelector('.tile:not(.mine) video')?.videoWidth > 0", "the other one's picture")

    async def picture(self, name: str, **how) -> None:
        PICTURES.mkdir(exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}.png", **how)

    async def has_nothing_beside_the_window(self) -> None:
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
