"""The module's EventStream in real Chromium: every wire, hops between them, and tabs that share one."""

import asyncio

import pytest

from lib.browser import ModulePage, chromium
from lib.client import Client
from lib.ledger import Ledger
from lib.server import Server, until


class Writer:
    """A user who says numbered things, each acknowledged into the ledger."""

    def __init__(self, client: Client, room: str):
        self.client, self.room = client, room
        self.ledger = Ledger()

    @classmethod
    async def enter(cls, server: Server) -> "Writer":
        client = await Client.sign_up(server, "writer")
        return cls(client, (await client.create_room())["id"])

    async def say(self, count: int, pause: float = 0.0) -> dict:
        for number in range(count):
            message = await self.client.say(self.room, f"number {len(self.ledger)}")
            self.ledger.acknowledge(message)
            if pause:
                await asyncio.sleep(pause)
        return message


@pytest.mark.parametrize("wire", ["websocket", "sse", "poll"])
async def test_each_wire_brings_every_event_once(server, wire):
    writer = await Writer.enter(server)
    async with chromium() as browser:
        page = await ModulePage.open(browser, server.url)
        await page.join_room(writer.room)
        await page.run("wire => listen({ types: ['message.*'], wires: [wire] })", wire)
        # What happens before any wire is open counts from the moment that the position is known.
        await writer.say(20)
        await page.wait_for("seen.wires.length > 0", "a wire is in use")
        await page.wait_for_message(await writer.say(20))
        await page.check(writer.ledger, wire)
        assert [change["wire"] for change in (await page.seen())["wires"]] == [wire]
    await writer.client.http.aclose()


async def test_one_cursor_goes_across_all_wires(server):
    """The page hops from wire to wire while somebody talks, each time with the cursor of the wire before."""
    writer = await Writer.enter(server)
    async with chromium() as browser:
        page = await ModulePage.open(browser, server.url)
        await page.join_room(writer.room)
        await page.run("() => listen({ types: ['message.*'] })")
        talking = asyncio.create_task(writer.say(150, 0.02))
        for wire in ["poll", "sse", "websocket", "sse", "poll"]:
            await page.run(
                """async (wire) => {
                    const { cursor } = stream;
                    stream.close();
                    const had = seen.wires.length;
                    window.hop = { had };
                    await listen({ types: ["message.*"], wires: [wire], after: cursor });
                }""", wire)
            await page.wait_for("seen.wires.length > hop.had", f"{wire} is in use")
            heard = await page.run("seen.events.length")
            if not talking.done():
                await page.wait_for("count => seen.events.length > count", f"events by {wire}", argument=heard)
        last = await talking
        await page.wait_for_message(last)
        await page.check(writer.ledger, "hopping")
        assert {change["wire"] for change in (await page.seen())["wires"]} == {"websocket", "sse", "poll"}
    await writer.client.http.aclose()


async def test_a_stream_survives_rotation_restart_and_kill(server_factory):
    server: Server = server_factory(stream_rotate_seconds=2).start()
    writer = await Writer.enter(server)
    async with chromium() as browser:
        page = await ModulePage.open(browser, server.url)
        await page.join_room(writer.room)
        await page.run("() => listen({ types: ['message.*'] })")
        await writer.say(10)
        await page.wait_for("seen.wires.length >= 3", "two rotations")
        assert await asyncio.to_thread(server.stop) == 0
        server.spawn()
        await asyncio.to_thread(server.wait_ready)
        await writer.say(10)
        await server.restart_after_kill()
        await page.wait_for_message(await writer.say(10))
        await page.check(writer.ledger, "the page")
    await writer.client.http.aclose()


async def test_a_position_that_is_gone_is_told_and_reading_goes_on(server):
    writer = await Writer.enter(server)
    async with chromium() as browser:
        page = await ModulePage.open(browser, server.url)
        await page.join_room(writer.room)
        for wire in ["websocket", "sse", "poll"]:
            await page.run(
                "wire => { seen.gaps.length = 0; return listen({ wires: [wire], after: 'zzzz.5' }); }", wire)
            await page.wait_for("seen.gaps.length === 1", f"the gap by {wire}")
            assert (await page.seen())["gaps"][0]["requested"] == "zzzz.5"
            await page.wait_for_message(await writer.say(1))
            await page.run("() => stream.close()")
    await writer.client.http.aclose()


async def test_a_session_that_is_revoked_elsewhere_ends_the_stream_with_its_reason(server):
    async with chromium() as browser:
        page = await ModulePage.open(browser, server.url)
        await page.run("() => listen({})")
        await page.wait_for("seen.wires.length > 0", "a wire is in use")
        await page.run("() => comblang.request('DELETE', '/v1/tokens/current')")
        await page.wait_for("seen.errors.includes('signed-out')", "the stream says that one is signed out")
        assert await page.run("comblang.isSignedIn") is False
        assert await page.run("stream.state") == "closed"


async def test_tabs_share_one_stream_and_the_next_leads_when_the_leader_is_closed(server):
    writer = await Writer.enter(server)
    async with chromium() as browser:
        context = await browser.new_context()
        pages = [await ModulePage.open(context, server.url) for _ in range(3)]
        assert len({page.id for page in pages}) == 1, "one session in all tabs"
        await pages[0].join_room(writer.room)
        for page in pages:
            await page.run("() => listen({ types: ['message.*', 'typing'], share: true })")
            await page.wait_for("seen.wires.length > 0", "a wire is in use")
        assert [(await page.seen())["wires"][0]["shared"] for page in pages] == [False, True, True]
        last = await writer.say(20)
        await writer.client.post(f"/v1/rooms/{writer.room}/typing", expect=204)
        for page in pages:
            await page.wait_for_message(last)
            await page.wait_for("seen.ephemeral.length === 1", "somebody is typing")

        # Its tab is closed while somebody talks.
        talking = asyncio.create_task(writer.say(100, 0.01))
        await asyncio.sleep(0.2)
        await pages[0].page.close()
        last = await talking
        for page in pages[1:]:
            await page.wait_for_message(last)
            await page.check(writer.ledger, "a tab that stayed")

        async def leaders() -> int:
            return sum([not (await page.seen())["wires"][-1]["shared"] for page in pages[1:]])

        await until(leaders, "another tab leads")
        assert await leaders() == 1
    await writer.client.http.aclose()


async def test_a_tab_that_missed_its_leader_reads_what_it_lacks(server):
    """A message between tabs is lost, as when the browser suspends one: the next one tells, and the log has it."""
    writer = await Writer.enter(server)
    async with chromium() as browser:
        context = await browser.new_context()
        leader, follower = [await ModulePage.open(context, server.url) for _ in range(2)]
        await leader.join_room(writer.room)
        for page in (leader, follower):
            await page.run("() => listen({ types: ['message.*'], share: true })")
            await page.wait_for("seen.wires.length > 0", "a wire is in use")
        await follower.wait_for_message(await writer.say(1))
        # Deaf for a while: what the leader says meanwhile is gone.
        await leader.run(
            """() => {
                window.post = BroadcastChannel.prototype.postMessage;
                BroadcastChannel.prototype.postMessage = () => {};
            }""")
        await leader.wait_for_message(await writer.say(30))
        await leader.run("() => { BroadcastChannel.prototype.postMessage = post; }")
        await follower.wait_for_message(await writer.say(1))
        await follower.check(writer.ledger, "the follower")
    await writer.client.http.aclose()
