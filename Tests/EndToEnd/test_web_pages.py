"""The pages of the server as people use them, in real Chromium: `/`, `/docs`, `/problems`."""

import asyncio
import os
import subprocess

import pytest
import yaml

from lib.browser import chromium
from lib.client import Client
from lib.server import ROOT, Server, environment
from lib.visitor import DESK, ICE, PHONE, Visitor


async def test_two_guests_chat_and_call_by_clicking(server_factory):
    """The six phases of the seed, on a desk and on a phone."""
    server = server_factory(**ICE).start()
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", color_scheme="light", **DESK)
        await siti.page.wait_for_selector("#name")
        await siti.picture("page-sign-in-light")
        budi = await Visitor.come(browser, server.url, "Budi", color_scheme="dark", **PHONE)
        await budi.page.wait_for_selector("#name")
        await budi.picture("page-sign-in-phone-dark")
        for visitor in (siti, budi):
            await visitor.enter()
            await visitor.has_nothing_beside_the_window()

        await siti.say("Halo <b>Budi</b>!")
        await budi.page.wait_for_selector("text=Halo <b>Budi</b>!")
        await budi.page.fill("#text", "s")
        await siti.wait_for("document.querySelector('#typing').textContent.includes('Budi sedang mengetik')", "typing")

        await siti.page.click("#call")
        await siti.page.wait_for_selector("text=Menunggu orang lain bergabung")
        await budi.page.click(".message:not(.mine) button.main")
        await siti.page.wait_for_selector("text=Panggilan masuk dari Budi")
        await siti.picture("page-ring-light")
        await siti.page.click("#ring-accept")
        for visitor in (siti, budi):
            await visitor.sees_video()
            await visitor.page.wait_for_selector("text=Terhubung dengan teman!")
        await siti.picture("page-call-light")
        await budi.picture("page-call-phone-dark")
        await budi.has_nothing_beside_the_window()

        await siti.page.click("#toggle-video")
        await budi.wait_for("document.querySelector('.tile:not(.mine)').classList.contains('video-off')", "camera off")
        await siti.page.click("#toggle-audio")
        await budi.wait_for("document.querySelector('.tile:not(.mine)').classList.contains('audio-off')", "microphone off")
        await siti.wait_for("document.querySelector('.tile.mine').classList.contains('audio-off')", "of oneself as well")
        assert await siti.page.get_attribute("#toggle-video", "aria-pressed") == "false"
        await budi.page.click("#hang-up")
        await siti.page.wait_for_selector("text=Panggilan selesai.")
        await siti.page.wait_for_selector("text=Panggilan sudah berakhir")
        for visitor in (siti, budi):
            await visitor.wait_for("page.call === null && document.querySelector('#stage').hidden", "the call is over")
            assert not visitor.complaints, visitor.complaints
        await siti.page.emulate_media(color_scheme="dark")
        await siti.picture("page-chat-dark")

        # A page that is loaded again is still Siti's, with what was said.
        await siti.page.reload()
        await siti.page.wait_for_selector("text=Halo <b>Budi</b>!")
        await siti.page.click("#sign-out")
        await siti.page.wait_for_selector("#name")


async def test_a_member_is_rung_and_declines_or_answers(server_factory):
    server = server_factory(**ICE).start()
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        budi = await Visitor.come(browser, server.url, "Budi", **DESK)
        for visitor in (siti, budi):
            await visitor.enter()
        await siti.page.click("#members-box summary")
        await siti.page.click("[aria-label='Panggil Budi']")
        await budi.page.wait_for_selector("text=Siti memanggilmu.")
        await budi.page.click("#ring-reject")
        await siti.page.wait_for_selector("text=Panggilan ditolak.")

        await siti.page.click("[aria-label='Panggil Budi']")
        await budi.page.wait_for_selector("text=Siti memanggilmu.")
        await budi.page.click("#ring-accept")
        for visitor in (siti, budi):
            await visitor.sees_video()

        # The caller's tab is closed: the other side hears of it at once.
        await siti.page.close(run_before_unload=True)
        await budi.page.wait_for_selector("text=Panggilan selesai.")

        # Who gives up before it is answered takes the question away.
        dewi = await Visitor.come(browser, server.url, "Dewi", **DESK)
        await dewi.enter()
        await dewi.page.click("#members-box summary")
        await dewi.page.click("[aria-label='Panggil Budi']")
        await budi.page.wait_for_selector("text=Dewi memanggilmu.")
        await dewi.page.click("#hang-up")
        await budi.page.wait_for_selector("text=Panggilan tak terjawab")
        assert not await budi.page.evaluate("document.querySelector('#ring').open")
        assert not budi.complaints and not dewi.complaints, budi.complaints + dewi.complaints


async def test_names_of_any_length_and_direction_keep_to_themselves(server_factory):
    """Long ones squeeze nothing, and those that turn the direction turn only themselves."""
    server = server_factory(**ICE).start()
    async with chromium() as browser:
        narrow = {"is_mobile": True, "has_touch": True}
        siti = await Visitor.come(
            browser, server.url, "Siti" + "W" * 50, viewport={"width": 320, "height": 640}, color_scheme="light", **narrow)
        budi = await Visitor.come(
            browser, server.url, "Budi \u0628\u0648\u062f\u064a", viewport={"width": 360, "height": 740}, color_scheme="dark", **narrow)
        for visitor in (siti, budi):
            await visitor.enter()
        await siti.say("Halo, Budi!")
        await budi.say("\u0645\u0631\u062d\u0628\u0627")
        for visitor in (siti, budi):
            await visitor.page.wait_for_selector("text=Halo, Budi!")
            await visitor.wait_for("document.querySelectorAll('.message').length === 2", "both messages")
            times = await visitor.page.evaluate(
                "[...document.querySelectorAll('.message time')].map((one) => one.getClientRects().length)")
            assert times == [1, 1], "the time is in one line"
            await visitor.has_nothing_beside_the_window()
        await siti.page.click("#call")
        await budi.page.wait_for_selector(".message:not(.mine) button.main")
        for visitor in (siti, budi):
            await visitor.page.evaluate("document.querySelector('#members-box').open = true")
        for where in (".message .who", "#members", "#me"):
            # Text of the name outside of `bdi` would turn what follows it.
            bare = await budi.page.evaluate(
                """(where) => [...document.querySelectorAll(where)].filter((one) => {
                    const rest = one.cloneNode(true);
                    for (const name of rest.querySelectorAll("bdi")) name.remove();
                    return /Siti|Budi/.test(rest.textContent);
                }).length""", where)
            assert bare == 0, where
        await budi.page.click(".message:not(.mine) button.main")
        await siti.page.wait_for_selector("#ring-accept")
        assert "Budi" in await siti.page.inner_text("#ring-text bdi")
        await siti.picture("page-narrow-light")
        await budi.picture("page-narrow-dark")


async def test_what_is_too_long_is_counted_as_the_server_counts(server):
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        await siti.page.fill("#name", "\N{GRINNING FACE}" * 65)
        await siti.page.press("#name", "Enter")
        assert "65 karakter, paling banyak 64" in await siti.page.evaluate(
            "document.querySelector('#name').validationMessage")
        await siti.enter()
        # All of them count as one, though they are two units of UTF-16.
        await siti.say("\N{GRINNING FACE}" * 32_000)
        await siti.wait_for("document.querySelectorAll('.message').length === 1", "it is said")
        await siti.say("\N{GRINNING FACE}" * 32_001)
        message = await siti.page.evaluate("document.querySelector('#text').validationMessage")
        assert message == "Pesan terlalu panjang: 32.001 karakter, paling banyak 32.000."
        assert len(await siti.page.input_value("#text")) == 32_001, "what was written is kept"
        await siti.say("Halo")
        await siti.wait_for("document.querySelectorAll('.message').length === 2", "it is said")
        assert not siti.complaints, siti.complaints


async def test_what_was_written_is_kept_when_the_server_is_away(server):
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        await siti.enter()
        await siti.page.wait_for_selector("text=WebSocket")
        server.kill()
        await siti.wait_for("document.querySelector('#wire').classList.contains('waiting')", "it says that it waits")
        server.spawn()
        await asyncio.to_thread(server.wait_ready)
        await siti.say("Masih ada?")
        await siti.page.wait_for_selector("text=Masih ada?")
        await siti.wait_for("!document.querySelector('#wire').classList.contains('waiting')", "it is back")

        # Without a network it says so at once, and what is being sent is not silent.
        await siti.page.context.set_offline(True)
        await siti.page.wait_for_selector("#wire:has-text('luring')")
        await siti.say("Dari terowongan")
        await siti.page.wait_for_selector("text=Mengirim…")
        await siti.page.context.set_offline(False)
        await siti.page.wait_for_selector(".message >> text=Dari terowongan")
        await siti.page.wait_for_selector("text=WebSocket")
        assert await siti.page.inner_text("#typing") == ""


async def test_where_an_invite_is_needed_the_page_asks_for_it(server_factory):
    server = server_factory(registration="invite").start()
    async with chromium() as browser, Client.admin(server) as admin:
        code = (await admin.post("/v1/admin/invites", {"uses": 1}, expect=201))["code"]
        link = (await admin.post("/v1/admin/invites", {"uses": 1}, expect=201))["code"]
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        assert not await siti.page.is_visible("#invite")
        await siti.page.fill("#name", "Siti")
        await siti.page.press("#name", "Enter")
        await siti.page.wait_for_selector("text=Pendaftaran di sini hanya dengan undangan.")
        await siti.page.fill("#invite", "cbi_salah")
        await siti.page.press("#invite", "Enter")
        await siti.page.wait_for_selector("text=Kode undangan itu tidak berlaku.")
        await siti.picture("page-invite-refused")
        await siti.page.fill("#invite", code)
        await siti.enter()

        # By a link, and only as often as it says.
        budi = await Visitor.come(browser, f"{server.url}/?invite={link}", "Budi", **DESK)
        await budi.enter()
        dewi = await Visitor.come(browser, f"{server.url}/?invite={link}", "Dewi", **DESK)
        await dewi.page.fill("#name", "Dewi")
        await dewi.page.press("#name", "Enter")
        await dewi.page.wait_for_selector("text=Kode undangan itu tidak berlaku.")
        assert {user["displayName"] for user in (await admin.get("/v1/admin/users"))["items"]} >= {"Siti", "Budi"}


async def test_where_nobody_may_sign_up_the_page_says_so(server_factory):
    server = server_factory(registration="closed").start()
    async with chromium() as browser:
        siti = await Visitor.come(browser, server.url, "Siti", **DESK)
        await siti.page.fill("#name", "Siti")
        await siti.page.press("#name", "Enter")
        await siti.wait_for("document.querySelector('#sign-in-error').textContent", "closed")
        assert "ditutup" in await siti.page.inner_text("#sign-in-error")
        assert not await siti.page.is_visible("#invite")


@pytest.mark.parametrize("how", [DESK | {"color_scheme": "light"}, PHONE | {"color_scheme": "dark"}], ids=["desk", "phone"])
async def test_the_reference_has_every_operation_and_finds_them(server: Server, how):
    contract = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text())
    names = {
        operation["operationId"] for item in contract["paths"].values() for operation in item.values()
        if isinstance(operation, dict)}
    async with chromium() as browser:
        reader = await Visitor.come(browser, f"{server.url}/docs", "reader", **how)
        await reader.page.wait_for_selector(".operation")
        shown = await reader.page.evaluate("[...document.querySelectorAll('.operation')].map((one) => one.id)")
        assert sorted(shown) == sorted(names), "each once"
        schemas = await reader.page.evaluate("[...document.querySelectorAll('.schema')].map((one) => one.id)")
        assert schemas == list(contract["components"]["schemas"]), "in the contract's order"
        # No link leads nowhere.
        lost = await reader.page.evaluate(
            """[...document.querySelectorAll('a[href^="#"]')].map((one) => decodeURIComponent(one.hash.slice(1)))
                .filter((id) => !document.getElementById(id))""")
        assert not lost, lost
        await reader.has_nothing_beside_the_window()
        name = f"docs-{'phone-dark' if 'is_mobile' in how else 'light'}"
        await reader.picture(name)

        await reader.page.fill("#search", "candidate-queue-full")
        left = await reader.page.evaluate(
            "[...document.querySelectorAll('.operation')].filter((one) => one.offsetParent).map((one) => one.id)")
        assert left == ["sendSignal"]
        await reader.picture(f"{name}-search")
        for word in ("Retry-After", "409", "410 cursor"):
            await reader.page.fill("#search", word)
            assert await reader.page.is_visible("#redeliverWebhook" if "410" in word else "#createRoom"), word
            assert not await reader.page.is_visible("#getDocs"), word
        await reader.page.fill("#search", "no such word anywhere")
        assert await reader.page.is_visible("text=Nothing matches.")
        await reader.page.fill("#search", "")
        assert await reader.page.is_visible("#createUser")
        await reader.page.goto(f"{server.recorded_url}/problems/glare")
        assert await reader.page.is_visible("text=The other side's offer is pending")
        await reader.picture(f"problem-{name}")
        await reader.page.click("text=All problems")
        await reader.page.wait_for_selector("text=The log no longer reaches back to this cursor")
        await reader.has_nothing_beside_the_window()
        await reader.picture(f"problems-{name}")
        await reader.page.go_back()
        await reader.page.click("text=sendSignal")
        await reader.page.wait_for_selector("#sendSignal:target, #sendSignal")
        assert not reader.complaints, reader.complaints


# Lines that must not be pasted one after the other: they end what the others need, or never end.
APART = {"revokeTokens", "deleteUser", "deleteMember", "archiveRoom", "deleteMessage", "leaveCall", "endCall"}


async def test_every_line_of_the_reference_can_be_pasted(server: Server):
    async with await Client.sign_up(server, "other") as other, chromium() as browser:
        await other.patch("/v1/users/me", {"displayName": "Budi"})
        reader = await Visitor.come(browser, f"{server.url}/docs", "reader", **DESK)
        await reader.page.wait_for_selector(".operation")
        start = await reader.page.inner_text("#quick-start code >> nth=-1")
        lines = await reader.page.evaluate(
            """Object.fromEntries([...document.querySelectorAll('.operation')].map((one) =>
                [one.id, one.querySelector('.copy code').textContent]))""")
    setting = [line for line in start.splitlines() if "/stream" not in line]
    pasted = {name: line for name, line in lines.items() if line.startswith("curl -sS ") and name not in APART}
    assert len(pasted) > 25
    script = "\n".join(
        [*setting, *[f"{line} -o /dev/null -w '\\n{name} %{{http_code}}\\n'" for name, line in pasted.items()]])
    result = await asyncio.to_thread(
        subprocess.run, ["bash", "-eu", "-c", script], env=environment() | {"HOME": os.environ.get("HOME", "/")},
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    told = [line.split() for line in result.stdout.splitlines()]
    statuses = {words[0]: words[1] for words in told if len(words) == 2 and words[0] in pasted}
    assert set(statuses) == set(pasted)
    # Malformed is none of them; what they meet depends on who else is there.
    malformed = {name: pasted[name] for name, status in statuses.items() if status in ("000", "400", "405", "415")}
    assert not malformed, malformed
    # Some name what is not there (another user, a backup), many are for admins; these do what they say.
    refused = {name: (status, pasted[name]) for name, status in statuses.items() if not status.startswith("2")}
    for name in ("createUser", "getUser", "createRoom", "listRooms", "postMessage", "markRead", "getMessage", "createCall", "getCall", "joinCall"):
        assert name not in refused, refused[name]
