"""The examples of docs/clients.md as written: only the server's address is put in, and what they say is theirs to have."""

import asyncio
import re
import subprocess

from lib.browser import ModulePage, chromium
from lib.client import Client
from lib.server import ROOT, Server, environment
from lib.tap import recorded

PLACEHOLDER = "https://chat.example.org"

# What the page of the example has: a list of messages, videos, a button.
AROUND = """() => {
window.shown = [];
window.show = (message) => shown.push(message.content);
window.local = document.createElement("video");
window.videos = {};
window.videoOf = (user) => (videos[user] ??= document.createElement("video"));
window.button = document.createElement("button");
window.endings = [];
window.say = (text) => endings.push(text);
}"""


def examples() -> list[str]:
    section = (ROOT / "docs/clients.md").read_text().split("\n# Generated clients\n")[0]
    return re.findall(r"^```js\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


async def run_module(page, code: str) -> None:
    """As a page's own `<script type="module">`, to its end."""
    await page.evaluate(
        """(code) => new Promise((resolve, reject) => {
            window.hasRun = resolve;
            addEventListener("error", (event) => reject(event.error ?? new Error(event.message)));
            addEventListener("unhandledrejection", (event) => reject(event.reason));
            document.head.append(Object.assign(document.createElement("script"), { type: "module", textContent: code }));
        })""", f"{code}\nhasRun();")


async def test_the_examples_run_in_a_browser(server: Server):
    start, call = examples()
    url = recorded(server.url)
    async with chromium() as browser:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{url}/healthz")
        await page.evaluate(AROUND)
        await run_module(page, start.replace(PLACEHOLDER, url) + "\nwindow.comblang = comblang;")
        other = await ModulePage.open(await browser.new_context(), server.url, "siti")
        await other.join_room("lobby")
        await other.wait_for(
            "async () => (await comblang.request('GET', '/v1/rooms/lobby/messages')).body.items"
            ".some((message) => message.content === 'Halo')", "the greeting")
        await other.run("comblang.request('POST', '/v1/rooms/lobby/messages', { body: { content: 'Hai' } })")
        await page.wait_for_function("shown.includes('Halo') && shown.includes('Hai')")

        # Somebody calls, and the page of the second example joins.
        await other.run(
            "async () => watchCall(await comblang.startCall('lobby', { audio: true, video: true, accept: () => true }))")
        await page.evaluate("(id) => { window.id = id; }", await other.run("call.id"))
        await run_module(page, call + "\nwindow.call = call;")
        await other.wait_for("Object.values(call.connections).includes('connected')", "they are connected")
        await page.wait_for_function("local.srcObject && Object.values(videos)[0]?.srcObject")
        await page.evaluate("button.click()")
        await other.wait_for("call.record.participants.some((one) => !one.media.audio)", "muted by the button")
        await other.run("call.end()")
        await page.wait_for_function("endings.join() === 'It is over: completed'")


async def test_the_first_example_runs_in_node(server: Server, tmp_path):
    start = examples()[0].replace(f"{PLACEHOLDER}/client/comblang.js", str(ROOT / "clients/js/comblang.js"))
    script = tmp_path / "example.mjs"
    # A page lives on by itself; a program ends when the stream does.
    script.write_text(
        "let show;\nconst heard = new Promise((resolve) => { show = resolve; });\n"
        f"{start.replace(PLACEHOLDER, server.recorded_url)}\nconsole.log((await heard).content);\nstream.close();\n")
    result = await asyncio.to_thread(
        subprocess.run, ["node", str(script)], env=environment(), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout == "Halo\n", result.stdout + result.stderr
    async with Client.admin(server) as admin:
        messages = (await admin.get("/v1/rooms/lobby/messages"))["items"]
    assert [message["displayName"] for message in messages] == ["Budi"]
