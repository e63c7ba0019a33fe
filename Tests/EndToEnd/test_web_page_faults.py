"""The page at `/` when requests are slow, fail, or cross: nothing is lost, shown twice or under the wrong name."""

import asyncio
import contextlib

from lib.browser import chromium
from lib.client import Client
from lib.server import until
from test_web_pages import DESK, Visitor

AWAY = {"status": 503, "headers": {"Retry-After": "60"}, "body": ""}
CONTENTS = "[...document.querySelectorAll('.message > p')].map((one) => one.textContent)"


@contextlib.asynccontextmanager
async def guest(server):
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        await siti.enter()
        yield siti
        assert not siti.complaints, siti.complaints


class Held:
    """Requests of a page that wait: their answers are the server's of now, and come when it is released."""

    def __init__(self):
        self.count = 0
        self.released = asyncio.Event()

    @classmethod
    async def on(cls, page, pattern: str, method: str) -> "Held":
        self = cls()

        async def hold(route) -> None:
            if route.request.method != method:
                return await route.continue_()
            response = await route.fetch()
            self.count += 1
            await self.released.wait()
            await route.fulfill(response=response)

        await page.route(pattern, hold)
        return self


async def room_of_budi(budi: Client, title: str) -> str:
    return (await budi.post("/v1/rooms", {"title": title, "visibility": "public"}, expect=201))["id"]


async def test_rooms_can_be_opened_while_they_are_read_again(server):
    async with await Client.sign_up(server, "budi") as budi, guest(server) as siti:
        await siti.say("di lobby")
        await siti.page.wait_for_selector("text=di lobby")
        held = await Held.on(siti.page, "**/v1/rooms?*", "GET")
        # Having joined makes the page read them.
        room = await room_of_budi(budi, "Kelas")
        await siti.page.evaluate("room => comblang.request('PUT', `/v1/rooms/${room}/members/me`, { body: {} })", room)
        await until(lambda: held.count, "they are asked for")
        await siti.page.evaluate("document.querySelector('#log').replaceChildren()")
        await siti.page.click("#rooms button:has-text('Lobby')")
        await siti.page.wait_for_selector("text=di lobby")
        held.released.set()
        await siti.page.click("#rooms button:has-text('Kelas')")
        await siti.wait_for("document.querySelector('#title').textContent === 'Kelas'", "the new room")


async def test_a_room_that_was_slow_to_join_does_not_take_the_place_of_a_later_one(server):
    async with await Client.sign_up(server, "budi") as budi, chromium() as browser:
        await room_of_budi(budi, "Kelas")
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        await siti.enter()
        await siti.say("di lobby")
        await siti.page.wait_for_selector("text=di lobby")
        held = await Held.on(siti.page, "**/members/me", "PUT")
        await siti.page.click("#rooms button:has-text('Kelas')")
        await siti.page.click("#rooms button:has-text('Lobby')")
        await siti.page.wait_for_selector("text=di lobby")
        async with siti.page.expect_response("**/members/me"):
            held.released.set()
        await siti.page.evaluate("() => new Promise((resolve) => { setTimeout(resolve); })")
        assert await siti.page.inner_text("#title") == "Lobby"
        assert await siti.page.evaluate(CONTENTS) == ["di lobby"]


async def test_what_is_said_while_the_history_is_read_comes_after_it(server):
    async with await Client.sign_up(server, "budi") as budi, guest(server) as siti:
        lobby = await siti.page.evaluate("page.room.id")
        await budi.join_room(lobby)
        for number in range(3):
            await budi.say(lobby, f"lama {number}")
        held = await Held.on(siti.page, "**/messages?*", "GET")
        await siti.page.click("#rooms button:has-text('Lobby')")
        await until(lambda: held.count, "it is asked for")
        await budi.say(lobby, "baru")
        await siti.page.wait_for_selector("text=baru")
        held.released.set()
        await siti.page.wait_for_selector("text=lama 2")
        assert await siti.page.evaluate(CONTENTS) == ["lama 0", "lama 1", "lama 2", "baru"]


async def test_after_a_gap_the_page_is_read_again_until_that_succeeds(server):
    async with await Client.sign_up(server, "budi") as budi, guest(server) as siti:
        await room_of_budi(budi, "Kelas")
        failures = []

        async def fail(route) -> None:
            failures.append(route)
            await route.fulfill(**AWAY)

        await siti.page.route("**/v1/rooms?*", fail)
        await siti.page.evaluate("page.stream.emit('gap', { requested: null, cursor: page.stream.cursor })")
        await until(lambda: failures, "they are asked for")
        await siti.page.unroute("**/v1/rooms?*")
        await siti.page.context.set_offline(True)
        await siti.page.context.set_offline(False)
        await siti.page.wait_for_selector("#rooms button:has-text('Kelas')")
        # The browser says so by itself.
        siti.complaints = [one for one in siti.complaints if "503" not in one and "ERR_" not in one]


async def test_a_guest_whose_server_is_away_is_not_asked_to_sign_in_again(server):
    """A guest who signs up once more is somebody else: the first one's session is gone."""
    async with guest(server) as siti:
        me = await siti.page.evaluate("comblang.user.id")

        async def fail(route) -> None:
            await route.fulfill(**AWAY)

        await siti.page.route("**/v1/rooms?*", fail)
        await siti.page.reload()
        await siti.page.wait_for_selector("text=mencoba lagi")
        assert not await siti.page.is_visible("#sign-in")
        await siti.page.unroute("**/v1/rooms?*")
        await siti.page.context.set_offline(True)
        await siti.page.context.set_offline(False)
        await siti.page.wait_for_selector("#app:not([hidden])")
        assert await siti.page.evaluate("comblang.user.id") == me
        siti.complaints = [one for one in siti.complaints if "503" not in one and "ERR_" not in one]


async def test_enter_pressed_twice_makes_one_guest(server):
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        made = []
        siti.page.on("request", lambda request: made.append(request.url) if request.url.endswith("/v1/users") else None)
        await siti.page.fill("#name", "Siti")
        await siti.page.evaluate(
            "() => { for (const _ of [1, 2]) document.querySelector('#guest-form').requestSubmit(); }")
        await siti.page.wait_for_selector("#app:not([hidden])")
        assert len(made) == 1


async def test_tabs_of_one_browser_are_of_one_user(server):
    """Who signs in or out in one tab does so in all."""
    async with chromium() as browser:
        context = await browser.new_context(**DESK)
        tabs = []
        for _ in range(2):
            tab = Visitor(await context.new_page(), "Siti")
            await tab.page.goto(server.recorded_url)
            await tab.page.wait_for_selector("#name")
            tabs.append(tab)
        await tabs[0].enter()
        await tabs[1].page.wait_for_selector("#app:not([hidden])")
        ids = [await tab.page.evaluate("comblang.user.id") for tab in tabs]
        assert ids[0] == ids[1]
        await tabs[1].page.click("#sign-out")
        for tab in tabs:
            await tab.page.wait_for_selector("#sign-in:not([hidden])")
            await tab.wait_for("page.stream === null", "nothing is followed")
            # A stream may hear of the end of its session before the page does, and tries to renew it.
            complaints = [one for one in tab.complaints if "401" not in one or not one.endswith("/v1/tokens")]
            assert not complaints, complaints
