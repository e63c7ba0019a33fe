"""The seed's own client functions, unchanged, on the embedded room actor: they call an aiortc peer that speaks HTTP and
long-poll, and are called by it; and one another."""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lib.client import Client
from lib.inbox import Inbox
from lib.peer import Peer, split_candidates
from lib.seed_page import FOLDER, FRAMES_MIN, SeedPage, page_server, seed_browser, seed_page
from lib.server import ROOT, Server, until
from lib.wires import Follower

BLUE = (30, 30, 200)
DOCUMENT = ROOT.parent / "shared/seed/video-call-flow.id.md"


def socket_url(server: Server, room: str, name: str = "Dewi") -> str:
    return f"ws://127.0.0.1:{server.port}/ws/{room}?username={name}"


class HTTPSide:
    """A user of HTTP and long-poll with an aiortc peer."""

    def __init__(self, client: Client, inbox: Inbox, room: str):
        self.client, self.inbox, self.room = client, inbox, room
        self.peer = Peer(BLUE)

    async def signal(self, call: str, to: str, **payload) -> dict:
        return await self.client.post(f"/v1/calls/{call}/signals", {"to": to, **payload}, expect=202)

    async def signal_of(self, *kinds: str) -> dict:
        event = await self.inbox.wait_for(
            lambda event: event["type"] == "signal" and event["data"]["type"] in kinds, " or ".join(kinds))
        return event["data"]

    async def invitation(self, user: str) -> str:
        """The call of the newest invitation in the chat by `user`."""
        event = await self.inbox.wait_for(
            lambda event: event["type"] == "message.created" and event["actor"] == user, "the invitation")
        assert event["data"]["metadata"]["action"] == "join_call" and event["data"]["origin"] == "websocket"
        return event["data"]["metadata"]["call"]

    async def offer(self, call: str, to: str) -> None:
        """Joins by a request and offers, as the contract says a joiner does."""
        joined = await self.client.post(f"/v1/calls/{call}/join", {})
        assert [peer["user"] for peer in joined["peers"]] == [to]
        offer, candidates = split_candidates(await self.peer.offer())
        await self.signal(call, to, type="offer", sdp=offer)
        await self.signal(call, to, type="candidates", candidates=candidates, end=True)

    async def accept_answer(self) -> None:
        await self.peer.accept((await self.signal_of("answer"))["sdp"])
        await self.take_candidates()

    async def answer(self, call: str, offer: dict, to: str) -> None:
        answer, candidates = split_candidates(await self.peer.answer(offer["sdp"]))
        await self.signal(call, to, type="answer", offer=offer["id"], sdp=answer)
        await self.signal(call, to, type="candidates", candidates=candidates, end=True)
        await self.take_candidates()

    async def take_candidates(self) -> None:
        """Until the two are connected: browsers trickle."""

        def taken() -> bool:
            return self.peer.connection.connectionState == "connected"

        while not taken():
            event = await self.inbox.wait_for(
                lambda event: event["type"] == "signal" and event["data"]["type"] == "candidates", "candidates")
            udp = [init for init in event["data"]["candidates"] if " udp " in init["candidate"]]
            await self.peer.add_candidates([init for init in udp if ".local" not in init["candidate"]])
            if udp:
                break
        await until(taken, "connected", 30)

    async def sees_video(self) -> None:
        await until(lambda: len(self.peer.seen) >= FRAMES_MIN, f"{FRAMES_MIN} frames", 30)

    async def renew(self) -> None:
        """For another call: a connection is for one."""
        await self.peer.close()
        self.peer = Peer(BLUE)


@asynccontextmanager
async def stage(server: Server, name: str):
    """A page in a room, and somebody there who speaks HTTP."""
    async with await Client.sign_up(server, "ani") as ani, seed_browser() as browser:
        room = (await ani.create_room())["name"]
        inbox = Inbox(Follower(server.port, ani.token, None, cursor=await ani.tail()), "poll")
        async with inbox:
            side = HTTPSide(ani, inbox, room)
            with page_server() as url:
                async with seed_page(browser, url, name) as page:
                    dewi = await page.connect(socket_url(server, room))
                    try:
                        yield page, dewi, side
                    finally:
                        await side.peer.close()


async def ended_record(side: HTTPSide, call: str, reason: str = "completed") -> dict:
    """The call's one record, once it has ended."""

    async def record() -> dict | None:
        found = await side.client.get(f"/v1/calls/{call}")
        return found if found["state"] == "ended" else None

    found = await until(record, "the call has ended", 30)
    assert found["endReason"] == reason, found
    return found


async def all_calls(side: HTTPSide) -> list[dict]:
    return (await side.client.get(f"/v1/rooms/{side.room}/calls"))["items"]


def test_the_fixture_is_the_document_word_for_word():
    if not DOCUMENT.exists():
        pytest.skip("shared/ is not beside the repository")
    document = DOCUMENT.read_text()
    client = (FOLDER / "client.js").read_text()
    pieces = re.findall(r"^(?:async )?function \w+\(.*?^}\n", client, re.S | re.M)
    names = [re.match(r"(?:async )?function (\w+)", piece)[1] for piece in pieces]
    assert set(names) >= {
        "startVideoCall", "joinVideoCall", "handleVideoSignal", "createPeerConnection", "sendSignal", "endCall"}
    for piece in pieces:
        assert piece in document, piece
    assert re.search(r"^const rtcConfig = .*?^};\n", client, re.S | re.M)[0] in document


async def test_the_page_calls_and_a_user_of_http_takes_it_up(server):
    async with stage(server, "seed-calls") as (page, dewi, side):
        await page.click("#startBtn")
        call = await side.invitation(dewi)
        await side.offer(call, dewi)
        await page.answer_modal(accept=True)
        await side.accept_answer()
        await side.sees_video()
        media = await page.sees_video()
        assert media["state"] in ("connected", "completed")
        await toggle(page, side)
        # The other side ends it; the page's End sends nothing, and is not missed.
        await side.client.post(f"/v1/calls/{call}/end", {})
        # It is told in a word that it does not know, and goes on as if nothing had been said.
        await until(lambda: page.was_told(side.client.id, '{"type":"leave"}'), "the page is told")
        assert await page.media() and not page.complaints
        await page.click("#endBtn")
        record = await ended_record(side, call)
        assert record["initiator"] == dewi and record["answeredAt"]
        transports = {part["user"]: part["transport"] for part in record["participants"]}
        # Who joined between two polls may have been gone again before anybody looked how they read.
        assert transports[dewi] == "websocket" and transports[side.client.id] in ("poll", None)
        assert await page.errors() == []
        assert [found["id"] for found in await all_calls(side)] == [call]


async def toggle(page: SeedPage, side: HTTPSide) -> None:
    """Mute and camera are the page's alone: the other side sees black, and the picture again."""
    await page.click("#toggleVideoBtn")
    await page.click("#toggleAudioBtn")
    media = await page.media()
    assert not media["videoEnabled"] and not media["audioEnabled"]
    before = len(side.peer.seen)
    await until(lambda: len(side.peer.seen) > before and side.peer.seen[-1].max() < 40, "black frames", 30)
    await page.click("#toggleVideoBtn")
    await page.click("#toggleAudioBtn")
    await until(lambda: side.peer.seen[-1].max() > 100, "the picture again", 30)


async def test_the_page_takes_up_a_call_of_a_user_of_http_and_ends_by_going(server):
    async with stage(server, "seed-is-called") as (page, dewi, side):
        created = await side.client.post(
            f"/v1/rooms/{side.room}/calls", {"media": {"audio": True, "video": True}}, expect=201)
        call = created["call"]["id"]
        await page.join(side.client.id)
        offer = await side.signal_of("offer")
        assert offer["from"] == dewi and offer["call"] == call
        await side.answer(call, offer, dewi)
        await side.sees_video()
        await page.sees_video()
        assert await page.errors() == []
        await page.click("#endBtn")
        await page.disconnect()
        record = await ended_record(side, call)
        assert record["endedBy"] == dewi
        assert [found["id"] for found in await all_calls(side)] == [call]


async def test_the_page_rejects_and_is_rejected(server):
    async with stage(server, "seed-rejects") as (page, dewi, side):
        await page.click("#startBtn")
        first = await side.invitation(dewi)
        await side.offer(first, dewi)
        await page.answer_modal(accept=False)
        await side.signal_of("reject")
        # An open call rings on: another may come. The page calls anew, which leaves the former.
        assert (await side.client.get(f"/v1/calls/{first}"))["state"] == "ringing"
        await page.click("#endBtn")
        created = await side.client.post(
            f"/v1/rooms/{side.room}/calls",
            {"media": {"audio": True, "video": True}, "invite": [dewi]}, expect=201)
        second = created["call"]["id"]
        await page.join(side.client.id)
        offer = await side.signal_of("offer")
        assert offer["call"] == second
        await ended_record(side, first, "cancelled")
        await side.signal(second, dewi, type="reject")
        await ended_record(side, second, "rejected")

        async def told() -> bool:
            return "Panggilan ditolak" in await page.system_messages()

        await until(told, "the page says that it was rejected")
        # Candidates that the page was sending while the other side declined meet a call that has ended.
        assert {error["code"] for error in await page.errors()} <= {"not-joined"}
        assert {found["id"] for found in await all_calls(side)} == {first, second}


async def test_two_pages_call_one_another(server):
    async with stage(server, "seed-two-1") as (page, dewi, side):
        with page_server() as url:
            async with seed_browser() as browser, seed_page(browser, url, "seed-two-2") as other:
                budi = await other.connect(socket_url(server, side.room, "Budi"))
                await page.click("#startBtn")
                call = await side.invitation(dewi)
                await other.join(dewi)
                await page.answer_modal(accept=True)
                await page.sees_video()
                await other.sees_video()
                assert await page.errors() == [] and await other.errors() == []
                # Neither End says anything; the one who goes ends it.
                await other.click("#endBtn")
                await page.click("#endBtn")
                await other.disconnect()
                record = await ended_record(side, call)
                assert record["endedBy"] == budi
                assert {part["transport"] for part in record["participants"]} == {"websocket"}
