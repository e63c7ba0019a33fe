"""Behind proxies that spoil streams the module always ends up receiving, says by which wire, and loses nothing."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lib.browser import ModulePage, chromium
from lib.fault_proxy import FaultProxy
from lib.server import Server, wait_until
from test_client_streams import Writer

LISTEN = "() => listen({ types: ['message.*'] })"


async def talk_through(server: Server, url: str, count: int = 60, pause: float = 0.02, until_wire: str | None = None):
    """A page behind the proxy listens while somebody talks; returns its wire changes after checking what it got."""
    writer = await Writer.enter(server)
    async with chromium() as browser:
        page = await ModulePage.open(browser, url)
        await page.join_room(writer.room)
        await page.run(LISTEN)
        # From the first moment on, whatever the wires are up to.
        await writer.say(count, pause)
        if until_wire is not None:
            await page.wait_for(
                "wire => seen.wires.at(-1)?.wire === wire", f"{until_wire} is in use", 90, argument=until_wire)
        await page.wait_for_message(await writer.say(5, pause))
        await page.check(writer.ledger, url)
        changes = (await page.seen())["wires"]
    await writer.client.http.aclose()
    return changes


def reasons(change: dict) -> dict[str, str]:
    return {one["wire"]: one["why"] for one in change["because"]}


async def test_a_proxy_that_holds_bytes_back_leaves_long_poll(server):
    async with FaultProxy(server.port, hold_bytes=64 * 1024) as proxy:
        changes = await talk_through(server, proxy.url, until_wire="poll")
    assert changes[0]["wire"] == "poll"
    assert reasons(changes[0]) == {"websocket": "mute", "sse": "mute"}


async def test_events_come_while_mute_wires_are_still_waited_for(server):
    """A poll reads in their place: nobody waits ten seconds for the first message."""
    writer = await Writer.enter(server)
    async with FaultProxy(server.port, hold_bytes=64 * 1024) as proxy, chromium() as browser:
        page = await ModulePage.open(browser, proxy.url)
        await page.join_room(writer.room)
        await page.run("() => listen({ types: ['message.*'], muteMs: 60_000 })")
        await page.wait_for_message(await writer.say(3))
        assert await page.run("stream.state") == "connecting", "the first wire is waited for still"
        await page.check(writer.ledger, "the stopgap")
    await writer.client.http.aclose()


async def test_a_proxy_that_refuses_upgrades_leaves_sse(server):
    async with FaultProxy(server.port, refuses_upgrades=True) as proxy:
        changes = await talk_through(server, proxy.url)
        assert proxy.refused > 0
    assert changes[0]["wire"] == "sse" and reasons(changes[0]) == {"websocket": "refused"}


async def test_a_proxy_that_kills_streams_too_leaves_long_poll(server):
    async with FaultProxy(server.port, refuses_upgrades=True, refuses_streams=True) as proxy:
        changes = await talk_through(server, proxy.url)
    assert changes[0]["wire"] == "poll" and reasons(changes[0]) == {"websocket": "refused", "sse": "refused"}


async def test_a_proxy_that_cuts_idle_connections_cuts_none_that_has_heartbeats(server_factory):
    """30 s of a proxy against 15 s of ours, both shortened."""
    server = server_factory(heartbeat_seconds=1).start()
    async with FaultProxy(server.port, idle_seconds=4) as proxy:
        changes = await talk_through(server, proxy.url, count=6, pause=1)
        assert proxy.cut == 0
    assert [change["wire"] for change in changes] == ["websocket"]


async def test_a_proxy_with_less_patience_than_a_heartbeat_leaves_short_polls(server):
    """Each wire is cut again and again; the poll learns for how long it may wait."""
    async with FaultProxy(server.port, idle_seconds=1.5) as proxy:
        changes = await talk_through(server, proxy.url, count=12, pause=2, until_wire="poll")
        assert proxy.cut >= 4
    assert [change["wire"] for change in changes][0] == "websocket" and changes[-1]["wire"] == "poll"


async def test_a_connection_that_is_torn_loses_nothing(server):
    writer = await Writer.enter(server)
    async with FaultProxy(server.port) as proxy, chromium() as browser:
        page = await ModulePage.open(browser, proxy.url)
        await page.join_room(writer.room)
        await page.run(LISTEN)
        for _ in range(4):
            await page.wait_for("seen.states.at(-1) === 'open' || seen.states.at(-1) === 'waiting'", "connected, or on the way")
            talking = asyncio.create_task(writer.say(20, 0.01))
            await asyncio.sleep(0.1)
            proxy.cut_all()
            await talking
        await page.wait_for_message(await writer.say(1))
        await page.check(writer.ledger, "the page")
    await writer.client.http.aclose()


async def test_a_better_wire_takes_over_when_the_proxy_lets_it_through(server):
    writer = await Writer.enter(server)
    async with FaultProxy(server.port, refuses_upgrades=True) as proxy, chromium() as browser:
        page = await ModulePage.open(browser, proxy.url)
        await page.join_room(writer.room)
        await page.run("() => listen({ types: ['message.*'], probeMs: 300 })")
        await page.wait_for("seen.wires.at(-1)?.wire === 'sse'", "SSE is in use")
        proxy.refuses_upgrades = False
        # Five minutes would have passed.
        await page.run("() => { comblang.wires.forget(); }")
        talking = asyncio.create_task(writer.say(100, 0.02))
        await page.wait_for("seen.wires.at(-1)?.wire === 'websocket'", "the WebSocket took over")
        await page.wait_for_message(await talking)
        await page.check(writer.ledger, "the page")
    await writer.client.http.aclose()


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {server}; proxy_set_header Host $http_host; {more} }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, server: Server, more: str = ""):
    """Debian's nginx with its defaults: buffering, HTTP/1.0 to the server, no upgrades."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, server=server.recorded_url, more=more))
    process = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.PIPE)

    def answers() -> bool:
        assert process.poll() is None, process.stderr.read().decode()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, "nginx listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@pytest.mark.parametrize("more, wire, why", [
    # It heeds `X-Accel-Buffering: no`.
    ("", "sse", {"websocket": "refused"}),
    # When it does not, it passes on what is there when the server pauses; but only of what comes in chunks, by 1.1.
    ("proxy_ignore_headers X-Accel-Buffering; proxy_http_version 1.1;", "sse", {"websocket": "refused"}),
    # Else a stream's beginning comes with its head, and then nothing.
    ("proxy_ignore_headers X-Accel-Buffering;", "poll", {"sse": "mute"}),
    # A compressor then waits for more.
    ("proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_proxied any; gzip_types *; gzip_min_length 0;", "poll",
     {"websocket": "refused", "sse": "mute"}),
], ids=["as-it-comes", "deaf", "deaf-and-old", "compressing"])
async def test_nginx_with_its_default_buffering(server, tmp_path, more, wire, why):
    with nginx(tmp_path / "nginx", server, more) as url:
        changes = await talk_through(server, url, until_wire=wire)
    assert changes[-1]["wire"] == wire and reasons(changes[-1]) == why
