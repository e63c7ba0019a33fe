"""The module's session in real Chromium: one for all tabs, also when the browser keeps nothing."""

from lib.browser import ModulePage, chromium

SIGNED_OUT = "() => comblang.isSignedIn === false"


async def test_signing_out_in_one_tab_signs_out_the_tab_that_signed_in(server):
    async with chromium() as browser:
        context = await browser.new_context()
        first, second = [await ModulePage.open(context, server.url) for _ in range(2)]
        assert first.id == second.id, "one session in both tabs"
        await second.run("() => comblang.signOut()")
        await first.wait_for(SIGNED_OUT, "the first tab is signed out")
        slug = await first.run("() => comblang.request('GET', '/v1/users/me').then(() => null, ({ slug }) => slug)")
        assert slug == "signed-out"


async def test_a_browser_that_forgets_all_signs_every_tab_out(server):
    """`localStorage.clear()` names no key in what it tells the other tabs."""
    async with chromium() as browser:
        context = await browser.new_context()
        first, second = [await ModulePage.open(context, server.url) for _ in range(2)]
        await second.run("() => localStorage.clear()")
        await first.wait_for(SIGNED_OUT, "the first tab is signed out")
