"""Calls on the page at `/` when people come, go and come back at the wrong moment."""

import contextlib

from lib.browser import chromium
from lib.visitor import DESK, ICE, PHONE, Visitor

INVITATION = ".message:not(.mine) button.main"
IS_ASKED = "document.querySelector('#ring').open"


@contextlib.asynccontextmanager
async def visitors(server_factory, *names: str):
    """People in the lobby, each with a browser of their own, and nothing for the browsers to complain of."""
    server = server_factory(**ICE).start()
    async with chromium() as browser:
        came = [await Visitor.come(browser, server.url, name, **DESK) for name in names]
        for visitor in came:
            await visitor.enter()
        yield came
        for visitor in came:
            assert not visitor.complaints, (visitor.name, visitor.complaints)


async def calling(host: Visitor, guest: Visitor) -> None:
    """The host invites everybody, the guest clicks, and the host is asked."""
    await host.page.click("#call")
    await host.page.wait_for_selector("text=Menunggu orang lain bergabung")
    await clicks(host, guest)


async def sees_both_others(visitor: Visitor) -> None:
    await visitor.wait_for(
        "[...document.querySelectorAll('.tile:not(.mine) video')].filter((one) => one.videoWidth).length === 2",
        "both others' pictures")


async def clicks(host: Visitor, guest: Visitor) -> None:
    await guest.page.click(f"{INVITATION} >> nth=-1")
    await host.page.wait_for_selector(f"text=Panggilan masuk dari {guest.name}")


async def connected(*people: Visitor) -> None:
    for visitor in people:
        await visitor.sees_video()
        await visitor.page.wait_for_selector("text=Terhubung dengan teman!")


async def is_not_asked(host: Visitor) -> None:
    await host.wait_for(f"!{IS_ASKED}", "the question is gone")


async def test_the_question_goes_with_who_gave_up(server_factory):
    async with visitors(server_factory, "Siti", "Budi") as (siti, budi):
        await calling(siti, budi)
        await siti.page.wait_for_selector("text=Budi menunggu jawabanmu.")
        await budi.page.wait_for_selector("text=Menunggu Siti menerima")
        await budi.page.click("#hang-up")
        await is_not_asked(siti)
        await siti.page.wait_for_selector("text=Budi tidak jadi bergabung. Menunggu orang lain bergabung")

        # Reloading is leaving too, and who comes back is asked about again.
        await clicks(siti, budi)
        await budi.page.reload()
        await is_not_asked(siti)
        await budi.page.wait_for_selector("text=Panggilanmu masih berlangsung.")
        await budi.page.click("text=Gabung lagi")
        await siti.page.wait_for_selector("text=Panggilan masuk dari Budi")
        await siti.page.click("#ring-accept")
        await connected(siti, budi)
        assert not await budi.page.is_visible("#again")


async def test_the_question_goes_with_the_call(server_factory):
    async with visitors(server_factory, "Siti", "Budi") as (siti, budi):
        await calling(siti, budi)
        await siti.page.evaluate("page.call.end()")
        await is_not_asked(siti)
        await budi.page.wait_for_selector("text=Panggilan dibatalkan.")


async def test_who_is_declined_is_not_said_to_have_declined(server_factory):
    async with visitors(server_factory, "Siti", "Budi") as (siti, budi):
        await calling(siti, budi)
        await siti.page.click("#ring-reject")
        await siti.page.wait_for_selector("text=Kamu menolak Budi. Menunggu orang lain bergabung")
        await budi.page.wait_for_selector("text=Panggilan ditolak.")


async def test_two_who_come_at_once_are_asked_about_one_after_the_other(server_factory):
    async with visitors(server_factory, "Siti", "Budi", "Dewi") as (siti, budi, dewi):
        await calling(siti, budi)
        await dewi.page.click(INVITATION)
        await dewi.page.wait_for_selector("text=Menunggu Siti menerima")
        assert "Budi" in await siti.page.inner_text("#ring-text"), "the second question does not answer the first"
        await siti.page.click("#ring-accept")
        await siti.page.wait_for_selector("text=Panggilan masuk dari Dewi")
        await siti.page.click("#ring-accept")
        for visitor in (siti, budi, dewi):
            await sees_both_others(visitor)

        # The call goes on without who reloads; whom Siti let in once she need not let in again.
        await budi.page.reload()
        await siti.page.wait_for_selector("text=Budi keluar.")
        await budi.page.click("text=Gabung lagi")
        await sees_both_others(budi)
        assert not await siti.page.evaluate(IS_ASKED)


async def test_a_call_of_two_that_a_reload_ended_is_one_click_away(server_factory):
    async with visitors(server_factory, "Siti", "Budi") as (siti, budi):
        await calling(siti, budi)
        await siti.page.click("#ring-accept")
        await connected(siti, budi)
        await budi.page.reload()
        await siti.page.wait_for_selector("text=Panggilan selesai.")
        await budi.page.wait_for_selector("text=Panggilan berakhir saat halaman dimuat ulang.")
        await budi.picture("page-call-again")
        await budi.page.click("text=Panggil lagi")
        await siti.page.wait_for_selector("text=Budi memanggilmu.")
        await siti.page.click("#ring-accept")
        await connected(siti, budi)
        await budi.page.click("#hang-up")
        await siti.page.wait_for_selector("#stage", state="hidden")

        # Once told it is not told again.
        await budi.page.reload()
        await budi.wait_for("document.querySelector('#title').textContent === 'Lobby'", "the lobby is open")
        await budi.page.wait_for_selector(".message")
        assert not await budi.page.is_visible("#again")
        # What is over says so, and invites nobody.
        await budi.wait_for("!document.querySelector('.message button')", "no invitation is open")


async def test_a_ring_outlives_a_reload(server_factory):
    async with visitors(server_factory, "Siti", "Budi") as (siti, budi):
        await siti.page.click("#members-box summary")
        await siti.page.click("[aria-label='Panggil Budi']")
        await budi.page.wait_for_selector("text=Siti memanggilmu.")
        await budi.page.reload()
        await budi.page.wait_for_selector("text=Siti memanggilmu.")
        await budi.page.click("#ring-accept")
        await connected(siti, budi)


async def test_in_a_call_a_member_is_rung_into_it(server_factory):
    async with visitors(server_factory, "Siti", "Budi", "Dewi") as (siti, budi, dewi):
        await calling(siti, budi)
        await siti.page.click("#ring-accept")
        await connected(siti, budi)
        await siti.page.click("#members-box summary")
        await siti.page.click("[aria-label='Panggil Budi']")
        await siti.page.wait_for_selector("text=Dia sudah ikut panggilan ini.")

        # Who is rung in another call hears of it, and the caller hears that they are.
        await dewi.page.click("#members-box summary")
        await dewi.page.click("[aria-label='Panggil Budi']")
        await budi.page.wait_for_selector("text=Kalau diterima, panggilanmu sekarang diakhiri.")
        await dewi.page.wait_for_selector("text=Sedang dalam panggilan lain. Menunggu jawaban")
        await budi.page.click("#ring-reject")
        await dewi.page.wait_for_selector("text=Panggilan ditolak.")

        await siti.page.click("[aria-label='Panggil Dewi']")
        await siti.page.wait_for_selector("text=Memanggil Dewi")
        await dewi.page.wait_for_selector("text=Siti memanggilmu.")
        await dewi.page.click("#ring-accept")
        for visitor in (siti, budi, dewi):
            await sees_both_others(visitor)
