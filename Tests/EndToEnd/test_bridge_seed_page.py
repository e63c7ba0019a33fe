"""The seed's own client functions on the reference room call an aiortc peer that speaks HTTP to Comblang, through the
bridge, and are called by it."""

from contextlib import asynccontextmanager

import pytest

from lib.bridges import is_live, make_bridge
from lib.client import Client
from lib.inbox import Inbox
from lib.remote_room import RemoteRoom
from lib.seed_page import page_server, seed_browser, seed_page
from lib.server import Server
from lib.wires import Follower
from test_seed_page import HTTPSide, all_calls, ended_record, toggle

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def stage(server: Server, directory, name: str):
    """A page in a remote room, and somebody who polls in the room here that is bridged to it."""
    remote = RemoteRoom(directory / "remote").start()
    try:
        async with (Client.admin(server) as admin, await Client.sign_up(server, "ani") as ani, seed_browser() as browser):
            room = (await ani.create_room())["id"]
            await make_bridge(admin, "durable", room, remote.port)
            await is_live(admin, "durable")
            async with Inbox(Follower(server.port, ani.token, None, cursor=await ani.tail()), "poll") as inbox:
                side = HTTPSide(ani, inbox, room)
                with page_server() as url:
                    async with seed_page(browser, url, name) as page:
                        await page.connect(f"ws://127.0.0.1:{remote.port}/ws/kamar?username=Dewi")
                        try:
                            yield page, side
                        finally:
                            await side.peer.close()
    finally:
        remote.discard()


async def test_the_page_calls_over_the_bridge(server, tmp_path):
    async with stage(server, tmp_path, "seed-bridge-calls") as (page, side):
        await page.click("#startBtn")
        event = await side.inbox.wait_for(
            lambda event: event["type"] == "message.created" and event["data"]["origin"] == "bridge", "the invitation")
        call, dewi = event["data"]["metadata"]["call"], event["actor"]
        assert event["data"]["displayName"] == "Dewi"
        await side.offer(call, dewi)
        await page.answer_modal(accept=True)
        await side.accept_answer()
        await side.sees_video()
        await page.sees_video()
        await toggle(page, side)
        await side.client.post(f"/v1/calls/{call}/end", {})
        await page.click("#endBtn")
        record = await ended_record(side, call)
        assert record["initiator"] == dewi and record["answeredAt"]
        transports = {part["user"]: part["transport"] for part in record["participants"]}
        assert transports == {dewi: "bridge", side.client.id: "poll"}
        assert [found["id"] for found in await all_calls(side)] == [call]


async def test_the_page_takes_up_a_call_from_here_rejects_another_and_goes(server, tmp_path):
    async with stage(server, tmp_path, "seed-bridge-is-called") as (page, side):
        body = {"media": {"audio": True, "video": True}}
        call = (await side.client.post(f"/v1/rooms/{side.room}/calls", body, expect=201))["call"]["id"]
        await page.page.wait_for_selector("[data-join-call]")
        await page.page.locator("[data-join-call]").last.click()
        offer = await side.signal_of("offer")
        assert offer["call"] == call
        dewi = offer["from"]
        await side.answer(call, offer, dewi)
        await side.sees_video()
        await page.sees_video()
        # She goes; her page says nothing of it but that its connection ends.
        await page.click("#endBtn")
        await page.disconnect()
        record = await ended_record(side, call)
        assert record["endedBy"] == dewi
        assert [found["id"] for found in await all_calls(side)] == [call]


async def test_the_page_rejects_over_the_bridge(server, tmp_path):
    async with stage(server, tmp_path, "seed-bridge-rejects") as (page, side):
        await page.click("#startBtn")
        event = await side.inbox.wait_for(
            lambda event: event["type"] == "message.created" and event["data"]["origin"] == "bridge", "the invitation")
        call, dewi = event["data"]["metadata"]["call"], event["actor"]
        await side.offer(call, dewi)
        await page.answer_modal(accept=False)
        assert (await side.signal_of("reject"))["from"] == dewi
        await side.client.post(f"/v1/calls/{call}/leave", {})
        await page.disconnect()
        await ended_record(side, call, "cancelled")
