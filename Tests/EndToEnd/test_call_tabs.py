"""A browser tab in a call, closed and killed: the other side hears of the one at once, and of the other by lease."""

import asyncio

from playwright.async_api import Error

from lib.browser import chromium
from lib.calls import active, answer, offer, outcome, pair, start
from lib.client import Client
from lib.inbox import Inbox
from lib.server import until
from lib.wires import Follower

# 45 s after the last request or at the stream's end, 30 s of grace, and a turn of the server's clock.
LEASE_SECONDS = 45 + 30 + 2

# What a web client does: read by EventSource on a ticket, and leave by beacon when its page goes away.
SCRIPT = """
([stream, leave, leaveToken]) => new Promise((resolve, reject) => {
  const source = new EventSource(stream);
  source.addEventListener("stream.ready", () => resolve());
  source.onerror = () => reject(new Error("no stream"));
  if (leaveToken) addEventListener("pagehide", () => navigator.sendBeacon(leave, JSON.stringify({ leaveToken })));
})
"""


async def listening(client: Client) -> Inbox:
    return Inbox(Follower(client.server.port, client.token, None, await client.tail()), "poll")


async def tab(browser, client: Client, call: str, leave_token: str | None):
    """A page that reads as the client's device; with a leave token it says goodbye."""
    page = await browser.new_page()
    ticket = (await client.post("/v1/stream-tickets", expect=201))["ticket"]
    await page.evaluate(SCRIPT, [
        f"{client.server.recorded_url}/v1/events/stream?ticket={ticket}", f"{client.server.recorded_url}{call}/leave", leave_token])
    return page


async def closed(server, browser) -> None:
    async with pair(server) as (ani, budi, room), await listening(ani) as inbox:
        call = await start(ani, room)
        token = (await budi.post(f"{call}/join"))["leaveToken"]
        await answer(call, ani, budi, (await offer(call, budi, ani))["id"])
        page = await tab(browser, budi, call, token)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await page.close(run_before_unload=True)
        ended = await inbox.wait_for(lambda event: event["type"] == "call.ended", "the end")
        assert loop.time() - began < 1
        assert ended["data"]["endReason"] == "completed" and ended["data"]["endedBy"] == budi.id


async def killed(server, browser) -> None:
    async with pair(server) as (ani, budi, room), await listening(ani) as inbox:
        call = await active(ani, budi, room)
        page = await tab(browser, budi, call, None)
        crashed = asyncio.Event()
        page.on("crash", lambda _: crashed.set())
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await page.goto("chrome://crash", timeout=5000)
        except Error:
            pass  # There is no answer from a page that is gone.
        await until(crashed.is_set, "the tab is dead")
        ended = await inbox.wait_for(
            lambda event: event["type"] == "call.ended", "the end", LEASE_SECONDS + loop.time() - began)
        assert loop.time() - began <= LEASE_SECONDS
        assert ended["data"]["endReason"] == "lost"
        record = await outcome(call, ani)
        assert {p["user"]: p["state"] for p in record["participants"]} == {ani.id: "left", budi.id: "lost"}


async def test_the_other_side_hears_of_a_closed_tab_at_once_and_of_a_killed_one_by_lease(server):
    async with chromium() as browser:
        await asyncio.gather(closed(server, browser), killed(server, browser))
