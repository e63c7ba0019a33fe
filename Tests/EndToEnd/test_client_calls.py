"""The module's Call in real Chromium with fake cameras: media both ways, every fault on the way, and other peers."""

import asyncio
import contextlib

from lib.browser import ModulePage, chromium
from lib.client import Client
from lib.inbox import Inbox
from lib.peer import Peer, split_candidates
from lib.relay import SECRET, Relay
from lib.server import Server, until
from lib.wires import Follower

FRAMES_MIN = 20
# Nobody answers there, and nobody must: a test asks no server on the internet.
ICE = {"stun_url": "stun:127.0.0.1:9"}


@contextlib.asynccontextmanager
async def pages_in_a_room(server: Server, count: int = 2):
    """Pages of different users, and the room that they are in."""
    async with chromium() as browser:
        pages = [await ModulePage.open(await browser.new_context(), server.url, f"caller-{n}") for n in range(count)]
        room = await pages[0].run(
            """async () => (await comblang.request(
                "POST", "/v1/rooms", { body: { title: "Room", visibility: "public" } })).body.id""")
        for page in pages[1:]:
            await page.join_room(room)
        yield pages, room


async def start_call(page: ModulePage, room: str, **options) -> str:
    return await page.run("async ([room, options]) => watchCall(await comblang.startCall(room, options))", [room, options])


async def join_call(page: ModulePage, call: str, **options) -> None:
    await page.run("async ([id, options]) => watchCall(await comblang.joinCall(id, options))", [call, options])


async def sees(page: ModulePage, other: str, seconds: float = 40) -> None:
    """Video of the other side is decoded and shown, and goes on."""
    before = (await page.run("user => inbound(user)", other))["framesDecoded"]

    async def enough() -> bool:
        now = await page.run("user => inbound(user)", other)
        return now["framesDecoded"] >= before + FRAMES_MIN and now["width"] > 0

    try:
        await until(enough, f"{FRAMES_MIN} frames of {other}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {await page.run('seen.calls')}") from None


@contextlib.asynccontextmanager
async def two_in_a_call(server: Server, calling: dict | None = None, joining: dict | None = None):
    """Two pages, the first of which called and sees (or, without a camera, is connected to) the other; the call's id."""
    async with pages_in_a_room(server) as ((caller, joiner), room):
        call = await start_call(caller, room, **(calling or {}))
        await join_call(joiner, call, **(joining or {}))
        if (joining or {}).get("video", True):
            await sees(caller, joiner.id)
        else:
            await caller.wait_for("user => call.connections[user] === 'connected'", "a connection", argument=joiner.id)
        yield caller, joiner, call


async def reason_of_end(page: ModulePage) -> str:
    return await page.wait_for(
        "seen.calls.find(([what]) => what === 'ended')?.[1].reason", "the call is over in the page")


async def record_of(page: ModulePage, call: str) -> dict:
    return await page.run("async (id) => (await comblang.request('GET', `/v1/calls/${id}`)).body", call)


async def test_two_pages_see_and_hear_one_another(server_factory):
    server = server_factory(**ICE).start()
    async with two_in_a_call(server) as (ani, budi, call):
        await sees(budi, ani.id)
        await ani.wait_for("user => inbound(user).then((now) => now.audioPackets > 10)", "Budi is heard", argument=budi.id)

        async with ani.page.expect_response("**/quality", timeout=60_000) as reported:
            pass
        report = (await reported.value).request.post_data_json
        assert (await reported.value).status == 204, await (await reported.value).text()
        assert report["peer"] == budi.id and report["localCandidateType"] and report["framesPerSecond"] > 0, report

        # Muting is told; the camera goes on without renegotiation.
        await budi.run("() => call.setVideo(false)")
        await ani.wait_for(
            "user => call.participant(user).media.video === false", "the camera turned off", argument=budi.id)
        await budi.run("() => call.setVideo(true)")
        await sees(ani, budi.id)

        async def is_connected() -> bool:
            return (await record_of(ani, call))["connectedAt"] is not None

        await until(is_connected, "the server knows that media flows")
        await ani.run("() => call.end()")
        assert await reason_of_end(ani) == "left"
        assert await reason_of_end(budi) == "completed"
        record = await record_of(ani, call)
        assert record["endReason"] == "completed" and record["answeredAt"] and record["durationSeconds"] is not None
        assert not [one for page in (ani, budi) for one in (await page.seen())["calls"] if one[0] == "problem"]
        # Cameras are off.
        assert await budi.run("call.localStream.getTracks().every((track) => track.readyState === 'ended')")


async def test_three_pages_form_a_mesh(server_factory):
    server = server_factory(**ICE).start()
    async with pages_in_a_room(server, 3) as (pages, room):
        call = await start_call(pages[0], room)
        # The two join at the same moment: whoever comes second offers to both.
        await asyncio.gather(*[join_call(page, call) for page in pages[1:]])
        for page in pages:
            for other in pages:
                if other is not page:
                    await sees(page, other.id)
        await pages[2].run("() => call.leave()")
        for page in pages[:2]:
            await page.wait_for(
                "user => seen.calls.some(([what, detail]) => what === 'left' && detail.user === user)", "the third left",
                argument=pages[2].id)
        await sees(pages[0], pages[1].id)
        await pages[0].run("() => call.end()")


async def test_both_sides_that_restart_at_once_keep_their_media(server_factory):
    """Glare, again and again: the server judges, the polite side gives way, and nobody is left in a half state."""
    server = server_factory(**ICE).start()
    async with two_in_a_call(server) as (ani, budi, call):
        for _ in range(5):
            before = [await page.run("user => ufrag(user)", other.id) for page, other in ((ani, budi), (budi, ani))]
            await asyncio.gather(*[page.run("() => call.restartICE()") for page in (ani, budi)])
            for (page, other), old in zip(((ani, budi), (budi, ani)), before):
                await page.wait_for(
                    "([user, old]) => ufrag(user) !== old && call.peerConnection(user).signalingState === 'stable'",
                    "a new generation", argument=[other.id, old])
        await sees(ani, budi.id)
        await sees(budi, ani.id)
        assert (await record_of(ani, call))["state"] == "active"
        await ani.run("() => call.end()")


async def test_a_network_that_comes_back_restarts_ice_and_media_goes_on(server_factory):
    server = server_factory(**ICE).start()
    async with two_in_a_call(server) as (ani, budi, call):
        old = await budi.run("user => ufrag(user)", ani.id)
        await budi.page.context.set_offline(True)
        await budi.page.context.set_offline(False)
        await budi.wait_for("([user, old]) => ufrag(user) !== old", "ICE restarts", argument=[ani.id, old])
        await sees(ani, budi.id)
        await sees(budi, ani.id)
        assert (await record_of(ani, call))["state"] == "active"
        await ani.run("() => call.end()")


async def test_a_tab_that_is_closed_leaves_at_once_by_its_beacon(server_factory):
    """By long-poll, so that no stream's end tells the server: the lease would take 45 s and more."""
    server = server_factory(**ICE).start()
    async with two_in_a_call(server, joining={"wires": ["poll"]}) as (ani, budi, call):
        await budi.page.close(run_before_unload=True)
        assert await reason_of_end(ani) == "completed"
        record = await record_of(ani, call)
        assert record["endReason"] == "completed" and record["endedBy"] == budi.id


async def test_another_tab_takes_the_call_over_when_it_says_so(server_factory):
    server = server_factory(**ICE).start()
    async with pages_in_a_room(server, 3) as (pages, room):
        ani, budi, _ = pages
        call = await start_call(ani, room)
        for page in pages[1:]:
            await join_call(page, call)
        await sees(ani, budi.id)
        again = await ModulePage.open(budi.page.context, server.url)
        # It is another device, so that it cannot do so by accident.
        slug = await again.run("id => comblang.joinCall(id).then(() => null, (problem) => problem.slug)", call)
        assert slug == "joined-elsewhere"
        await join_call(again, call, takeover=True)
        assert await reason_of_end(budi) == "elsewhere"
        await sees(ani, budi.id)
        await sees(again, ani.id)
        await ani.run("() => call.end()")


async def test_a_lease_that_ran_out_is_taken_again(server_factory):
    """The server's word is put into the page's mouth, as the real one takes 75 seconds of silence."""
    server = server_factory(**ICE).start()
    async with two_in_a_call(server) as (ani, budi, call):
        old = await budi.run("call.leg")
        await budi.run(
            """() => call.events.emit("event", {
                type: "call.participant", data: { ...call.participant(call.me), call: call.id, state: "lost" } })""")
        await budi.wait_for("old => call.leg > old", "a new leg", argument=old)
        await ani.wait_for(
            "user => seen.calls.some(([what, detail]) => what === 'left' && detail.reason === 'replaced')",
            "the old leg is dropped")
        await sees(ani, budi.id)
        await sees(budi, ani.id)
        await ani.run("() => call.end()")


async def test_a_relayed_call_lives_on_when_its_credentials_run_out(server_factory, tmp_path):
    only_relayed = {"configuration": {"iceTransportPolicy": "relay"}}
    username = """user => call.peerConnection(user).getConfiguration().iceServers.find((one) => one.username).username"""
    with Relay(tmp_path) as relay:
        server = server_factory(
            turn_url=relay.url("udp"), turn_secret=SECRET, stun_url=relay.url(scheme="stun"), turn_ttl_seconds=8).start()
        async with two_in_a_call(server, only_relayed, only_relayed) as (ani, budi, call):
            for _ in range(2):
                before = [await ani.run(username, budi.id), await ani.run("user => ufrag(user)", budi.id)]
                await ani.wait_for(
                    f"""([user, name, old]) => ({username})(user) !== name && ufrag(user) !== old""",
                    "new credentials, and a way made with them", argument=[budi.id, *before])
                await sees(ani, budi.id)
                await sees(budi, ani.id)
            assert (await record_of(ani, call))["state"] == "active"
            await ani.run("() => call.end()")


async def share_screen(page: ModulePage, width: int) -> None:
    """A canvas stands for the screen, as a browser without a window has none to share."""
    await page.run(
        """(width) => {
            const canvas = Object.assign(document.createElement("canvas"), { width, height: 200 });
            const drawing = canvas.getContext("2d");
            let shade = 0;
            setInterval(() => {
                drawing.fillStyle = `rgb(${shade++ % 256}, 90, 90)`;
                drawing.fillRect(0, 0, width, 200);
            }, 30);
            navigator.mediaDevices.getDisplayMedia = async () => canvas.captureStream(30);
            return call.shareScreen();
        }""", width)


async def test_the_screen_takes_the_place_of_the_camera_and_gives_it_back(server_factory):
    server = server_factory(**ICE).start()
    async with two_in_a_call(server) as (ani, budi, call):
        await share_screen(budi, 400)
        await ani.wait_for("user => theirs.get(user).videoWidth === 400", "the screen is seen", argument=budi.id)
        assert await ani.run("user => call.participant(user).media.screen", budi.id)
        await budi.run("() => call.stopScreen()")
        await ani.wait_for("user => theirs.get(user).videoWidth !== 400", "the camera is back", argument=budi.id)
        await ani.run("() => call.end()")


async def test_a_screen_without_a_camera_is_seen_each_time_and_by_who_comes_later(server_factory):
    server = server_factory(**ICE).start()
    is_seen = "([user, width]) => theirs.get(user)?.videoWidth === width"
    async with pages_in_a_room(server, 3) as ((ani, budi, citra), room):
        call = await start_call(ani, room, video=False)
        await join_call(budi, call, video=False)
        await share_screen(budi, 400)
        await ani.wait_for(is_seen, "the screen is seen", argument=[budi.id, 400])
        await budi.run("() => call.stopScreen()")
        await share_screen(budi, 300)
        await ani.wait_for(is_seen, "the next one is seen", argument=[budi.id, 300])
        await join_call(citra, call, video=False)
        await citra.wait_for(is_seen, "it is seen by who came later", argument=[budi.id, 300])
        await ani.run("() => call.end()")


async def test_an_audio_call_becomes_a_video_call(server_factory):
    server = server_factory(**ICE).start()
    async with two_in_a_call(server, {"video": False}, {"video": False}) as (ani, budi, _):
        await ani.wait_for("user => inbound(user).then((now) => now.audioPackets > 10)", "Budi is heard", argument=budi.id)
        await budi.run("() => call.setVideo(true)")
        await sees(ani, budi.id)
        await ani.run("() => call.setVideo(true)")
        await sees(budi, ani.id)
        await ani.run("() => call.end()")


async def test_who_is_not_let_in_is_told_and_the_call_rings_on(server_factory):
    server = server_factory(**ICE).start()
    async with pages_in_a_room(server) as ((ani, budi), room):
        call = await ani.run(
            """async (room) => watchCall(await comblang.startCall(room, {
                accept: (participant) => { window.asked = participant.user; return false; } }))""", room)
        await join_call(budi, call)
        assert await reason_of_end(budi) == "rejected"
        assert await ani.run("asked") == budi.id
        assert (await record_of(ani, call))["state"] == "ringing"
        await ani.run("() => call.leave()")


async def test_two_calls_that_cross_become_one(server_factory):
    server = server_factory(**ICE).start()
    async with pages_in_a_room(server) as ((ani, budi), room):
        calls = await asyncio.gather(start_call(ani, room, invite=[budi.id]), start_call(budi, room, invite=[ani.id]))
        assert calls[0] == calls[1]
        await sees(ani, budi.id)
        await sees(budi, ani.id)
        await ani.run("() => call.end()")


class Script:
    """What a curl script would do for an aiortc peer: it answers the page's offer and passes candidates."""

    def __init__(self, client: Client, peer: Peer, inbox: Inbox, call: str):
        self.client, self.peer, self.inbox, self.call = client, peer, inbox, call

    async def answer(self) -> None:
        event = await self.inbox.wait_for(
            lambda event: event["type"] == "signal" and event["data"]["type"] == "offer", "the page's offer")
        offer = event["data"]
        answer, candidates = split_candidates(await self.peer.answer(offer["sdp"]))
        path = f"/v1/calls/{self.call}/signals"
        to = {"to": offer["from"]}
        await self.client.post(path, to | {"type": "answer", "offer": offer["id"], "sdp": answer}, expect=202)
        await self.client.post(path, to | {"type": "candidates", "candidates": candidates, "end": True}, expect=202)

    async def pass_candidates(self) -> None:
        while True:
            event = await self.inbox.wait_for(
                lambda event: event["type"] == "signal" and event["data"]["type"] == "candidates", "candidates", 120)
            await self.peer.add_candidates([one for one in event["data"]["candidates"] if one["candidate"]])


async def test_a_page_and_a_peer_that_no_browser_made_see_one_another(server_factory):
    server = server_factory(**ICE).start()
    peer = Peer((200, 30, 30))
    async with pages_in_a_room(server, 1) as ((page,), room), await Client.sign_up(server, "aiortc") as client:
        await client.join_room(room)
        call = (await client.post(
            f"/v1/rooms/{room}/calls", {"media": {"audio": False, "video": True}}, expect=201))["call"]["id"]
        follower = Follower(server.port, client.token, None, cursor=await client.tail(), device=client.device)
        async with Inbox(follower, "poll") as inbox:
            await join_call(page, call, audio=False)
            script = Script(client, peer, inbox, call)
            await script.answer()
            passing = asyncio.create_task(script.pass_candidates())
            try:
                await sees(page, client.id)
                await until(lambda: len(peer.seen) >= FRAMES_MIN, "frames of the page", 30)
            finally:
                passing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await passing
            await page.run("() => call.leave()")
            ended = await inbox.wait_for(lambda event: event["type"] == "call.ended", "the end")
            assert ended["data"]["endReason"] == "completed"
        await peer.close()
