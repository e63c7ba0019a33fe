"""TLS with HTTP/2 and HTTP/1.1: curl, httpx and Chromium on either, streams as on clear text, certificates renewed."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import time

import httpx
import pytest
import websockets

from lib.browser import chromium
from lib.certificates import Authority, common_name
from lib.exchanges import Exchange
from lib.http2 import Http2
from lib.raw_http import settled_sockets
from lib.server import BINARY, Server, assert_one_line_error, comblang, environment, until, wait_until

pytestmark = pytest.mark.anyio


class Secure:
    """A server with a certificate, and what its clients need."""

    def __init__(self, server_factory, directory, **settings):
        self.authority = Authority(directory / "tls")
        self.certificate = directory / "tls/certificate.pem"
        self.key = directory / "tls/key.pem"
        self.renew("first")
        self.server: Server = server_factory(
            tls_certificate=self.certificate, tls_key=self.key, **settings).start()

    @property
    def context(self) -> ssl.SSLContext:
        """One for each client, which sets in it what it speaks."""
        return ssl.create_default_context(cafile=self.authority.root)

    def renew(self, name: str) -> None:
        certificate, key = self.authority.issue(name)
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)

    def client(self, http2: bool = True) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.server.url, http2=http2, http1=not http2, verify=self.context, timeout=30, trust_env=False)

    def shown(self) -> str:
        """The name of the certificate that a new connection gets."""
        with socket.create_connection(("127.0.0.1", self.server.port), 5) as plain:
            with self.context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return common_name(secure.getpeercert(binary_form=True))

    def curl(self, path: str, *arguments: str) -> subprocess.CompletedProcess:
        heads = self.certificate.with_name("heads.txt")
        result = subprocess.run(
            ["curl", "-sS", "-m", "20", "--cacert", str(self.authority.root), "-D", heads, self.server.url + path,
             *arguments], capture_output=True, text=True)
        if result.returncode == 0:
            self._write_down(path, arguments, heads.read_text(), result.stdout)
        return result

    def _write_down(self, path: str, arguments: tuple[str, ...], heads: str, body: str) -> None:
        """What nobody can hear under TLS, as curl tells it."""
        given = dict(zip(arguments, arguments[1:]))
        fields = [given["-H"].split(": ", 1)] if "-H" in given else []
        data = given.get("-d", "").encode()
        exchange = Exchange("curl", "POST" if "-d" in given else "GET", path, fields, data)
        first, *lines = heads.strip().split("\n")
        exchange.answered(int(first.split()[1]), [line.strip().split(": ", 1) for line in lines])
        exchange.received(body.encode())
        # What -w adds is not the server's, and a file is not read here.
        is_whole = "-w" not in given and not data.startswith(b"@")
        exchange.finish(is_whole)


@pytest.fixture
def secure(server_factory, tmp_path) -> Secure:
    return Secure(server_factory, tmp_path)


async def person(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    answer = await client.post("/v1/users", json={"username": name})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


async def frames(lines, types: set[str]):
    """Events of an SSE or NDJSON stream of these types."""
    async for line in lines:
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            event = json.loads(text)
            if event["type"] in types:
                yield event


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_curl_speaks_either(secure: Secure, version):
    signed_up = secure.curl("/v1/users", version, "-d", '{"username":"siti"}', "-w", "\n%{http_version} %{http_code}")
    body, _, told = signed_up.stdout.rpartition("\n")
    assert told == ("2 201" if version == "--http2" else "1.1 201"), signed_up.stderr
    bearer = f"Authorization: Bearer {json.loads(body)['accessToken']}"
    assert secure.curl("/v1/rooms", version, "-H", bearer, "-d", '{"name":"kelas"}').returncode == 0
    for number in range(3):
        posted = secure.curl(
            "/v1/rooms/kelas/messages", version, "-H", bearer, "-d", json.dumps({"content": f"halo {number}"}))
        assert json.loads(posted.stdout)["content"] == f"halo {number}"
    polled = secure.curl("/v1/rooms/kelas/events?after=earliest&wait=0&types=message.created", version, "-H", bearer)
    assert len(json.loads(polled.stdout)["events"]) == 3
    # Refusals that say something about the connection on HTTP/1.1 must not on HTTP/2.
    body = secure.certificate.with_name("large.json")
    body.write_text(json.dumps({"title": "x" * 300_000}))
    large = secure.curl("/v1/rooms", version, "-H", bearer, "-d", f"@{body}")
    assert large.returncode == 0 and json.loads(large.stdout)["type"] == "/problems/body-too-large", large.stderr
    upgrade = secure.curl("/v1/ws", version, "-H", bearer)
    assert upgrade.returncode == 0 and json.loads(upgrade.stdout)["type"] == "/problems/upgrade-required"


@pytest.mark.parametrize("http2", [True, False])
@pytest.mark.parametrize("wire", ["sse", "ndjson"])
async def test_streams_deliver_what_is_posted_meanwhile(secure: Secure, http2, wire):
    async with secure.client(http2) as client, secure.client(not http2) as other:
        headers = await person(client, "siti")
        room = (await client.post("/v1/rooms", json={"name": "kelas"}, headers=headers)).json()["id"]
        got: list[str] = []
        ready = asyncio.Event()

        async def read():
            target = f"/v1/rooms/{room}/events/stream?format={wire}&pad=1"
            async with client.stream("GET", target, headers=headers) as stream:
                assert stream.status_code == 200
                assert stream.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                async for event in frames(stream.aiter_lines(), {"stream.ready", "message.created"}):
                    if event["type"] == "stream.ready":
                        ready.set()
                        continue
                    got.append(event["data"]["content"])
                    if len(got) == 200:
                        return

        reader = asyncio.create_task(read())
        await asyncio.wait_for(ready.wait(), 10)
        for number in range(200):
            # Over the same connection, while the stream is open, and over another.
            sender = client if number % 2 else other
            answer = await sender.post(f"/v1/rooms/{room}/messages", json={"content": f"{number}"}, headers=headers)
            assert answer.status_code == 201
        await asyncio.wait_for(reader, 20)
        assert got == [str(number) for number in range(200)]


async def test_thirty_streams_and_polls_share_one_connection(secure: Secure):
    sockets = settled_sockets(secure.server)
    async with secure.client() as client:
        people = [await person(client, f"siswa{number}") for number in range(10)]
        room = (await client.post("/v1/rooms", json={"name": "kelas"}, headers=people[0])).json()["id"]
        for headers in people[1:]:
            await client.put(f"/v1/rooms/{room}/members/me", headers=headers)
        cursor = (await client.get("/v1/events", headers=people[0])).json()["cursor"]

        async def stream(headers, format):
            target = f"/v1/events/stream?format={format}&after={cursor}"
            async with client.stream("GET", target, headers=headers) as answer:
                async for event in frames(answer.aiter_lines(), {"message.created"}):
                    return event["data"]["content"]

        async def poll(headers):
            at = cursor
            while True:
                page = (await client.get(f"/v1/events?after={at}&wait=20&types=message.*", headers=headers)).json()
                if page["events"]:
                    return page["events"][0]["data"]["content"]
                at = page["cursor"]

        waiting = [
            asyncio.create_task(read)
            for headers in people
            for read in (stream(headers, "sse"), stream(headers, "ndjson"), poll(headers))]
        wait = asyncio.get_running_loop().run_in_executor
        await wait(None, lambda: wait_until(lambda: secure.server.open_sockets() == sockets + 1, "one connection"))
        assert (await client.post(
            f"/v1/rooms/{room}/messages", json={"content": "semua"}, headers=people[0])).status_code == 201
        assert await asyncio.wait_for(asyncio.gather(*waiting), 20) == ["semua"] * 30


async def place_is_free(secure: Secure, target: str, headers: dict[str, str]) -> bool:
    """Whether the device, which has one place, may open another stream; over a connection that ends with it."""
    async with secure.client(http2=False) as client, client.stream("GET", target, headers=headers) as answer:
        return answer.status_code == 200


async def test_a_reader_on_http2_that_stops_ends_slow_and_costs_the_others_nothing(server_factory, tmp_path):
    secure = Secure(server_factory, tmp_path, stream_stall_seconds=1, streams_per_device=1)
    async with secure.client() as client:
        headers = await person(client, "siti")
        room = (await client.post("/v1/rooms", json={"name": "kelas"}, headers=headers)).json()["id"]
        target = f"/v1/rooms/{room}/events/stream?format=ndjson"
        with contextlib.closing(Http2(secure.server.port, secure.context)) as stalled:
            assert stalled.status(stalled.get(target, headers)) == 200
            assert not await place_is_free(secure, target, headers)
            before = secure.server.resident_bytes()
            # The window of a stream has 64 KiB; what is beyond waits in the log, not in memory.
            for _ in range(100):
                answer = await client.post(
                    f"/v1/rooms/{room}/messages", json={"content": "x" * 30_000}, headers=headers)
                assert answer.status_code == 201
            await until(lambda: place_is_free(secure, target, headers), "the stalled stream has ended", 20)
            assert secure.server.resident_bytes() - before < 64 * 1024 * 1024


async def test_a_stream_that_its_client_resets_gives_its_place_back(server_factory, tmp_path):
    secure = Secure(server_factory, tmp_path, streams_per_device=1)
    async with secure.client() as client:
        headers = await person(client, "siti")
    target = "/v1/events/stream?format=ndjson"
    with contextlib.closing(Http2(secure.server.port, secure.context)) as connection:
        for _ in range(10):
            stream = connection.get(target, headers)
            assert connection.status(stream) == 200
            connection.reset(stream)
            await until(lambda: place_is_free(secure, target, headers), "its place is free")
            # The one that found that out has to go, too.
            await until(lambda: place_is_free(secure, target, headers), "nobody holds it")


async def test_chromium_listens_on_http2(secure: Secure):
    async with secure.client() as client, chromium("--ignore-certificate-errors") as browser:
        headers = await person(client, "siti")
        await client.post("/v1/rooms", json={"name": "kelas"}, headers=headers)
        ticket = (await client.post("/v1/stream-tickets", headers=headers)).json()["ticket"]
        page = await browser.new_page()
        await page.goto(f"{secure.server.url}/healthz")
        await page.evaluate(
            """url => new Promise((resolve, reject) => {
                window.got = [];
                window.source = new EventSource(url);
                source.onopen = resolve;
                source.onerror = reject;
                source.addEventListener("message.created", event => got.push(JSON.parse(event.data).data.content));
            })""", f"/v1/events/stream?ticket={ticket}")
        for number in range(20):
            await client.post("/v1/rooms/kelas/messages", json={"content": str(number)}, headers=headers)
        await page.wait_for_function("got.length >= 20", timeout=15_000)
        assert await page.evaluate("got") == [str(number) for number in range(20)]
        await page.evaluate("source.close()")
        protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert await page.evaluate(protocol) == "h2"


async def test_websockets_speak_http1_under_tls(secure: Secure):
    async with secure.client() as client:
        headers = await person(client, "siti")
        await client.post("/v1/rooms", json={"name": "kelas"}, headers=headers)
        url = f"wss://127.0.0.1:{secure.server.port}/v1/ws"
        async with websockets.connect(url, ssl=secure.context, additional_headers=headers) as socket:
            assert json.loads(await socket.recv())["type"] == "stream.ready"
            await client.post("/v1/rooms/kelas/messages", json={"content": "halo"}, headers=headers)
            assert json.loads(await socket.recv())["data"]["content"] == "halo"


async def test_a_renewed_certificate_is_for_new_connections_and_open_streams_stay(secure: Secure):
    async with secure.client() as client:
        headers = await person(client, "siti")
        await client.post("/v1/rooms", json={"name": "kelas"}, headers=headers)
        async with client.stream("GET", "/v1/rooms/kelas/events/stream", headers=headers) as stream:
            events = frames(stream.aiter_lines(), {"stream.ready", "message.created", "stream.end"})
            assert (await anext(events))["type"] == "stream.ready"
            assert secure.shown() == "first"
            secure.renew("second")
            secure.server.process.send_signal(1)
            await asyncio.to_thread(wait_until, lambda: secure.shown() == "second", "the new certificate is shown")
            # A broken file, and a key of another certificate, change nothing and are told.
            good = secure.certificate.read_bytes()
            for broken in (b"", good[:200], secure.authority.issue("third")[0]):
                secure.certificate.write_bytes(broken)
                before = secure.server.output().count("certificate not renewed")
                secure.server.process.send_signal(1)
                await asyncio.to_thread(
                    wait_until, lambda: secure.server.output().count("certificate not renewed") > before, "a warning")
                assert secure.shown() == "second"
            async with secure.client() as other:
                answer = await other.post("/v1/rooms/kelas/messages", json={"content": "masih"}, headers=headers)
                assert answer.status_code == 201
            event = await asyncio.wait_for(anext(events), 10)
            assert event["data"]["content"] == "masih"
    secure.server.process.send_signal(1)
    assert secure.server.stop() == 0


def test_a_changed_file_is_noticed_without_a_signal(server_factory, tmp_path):
    secure = Secure(server_factory, tmp_path, tls_reload_seconds=1)
    assert secure.shown() == "first"
    secure.renew("second")
    wait_until(lambda: secure.shown() == "second", "the new certificate is shown", 20)


def test_commands_trust_the_authority_that_they_are_told(secure: Secure):
    root = ("--certificate-authority", secure.authority.root)
    reach = ("--url", secure.server.url, "--data-dir", secure.server.data)
    assert comblang("room", "create", "serambi", *reach, *root).returncode == 0
    listed = comblang("room", "list", *reach, certificate_authority=secure.authority.root)
    assert listed.returncode == 0 and "serambi" in listed.stdout
    exported = comblang("calls", "export", *reach, *root)
    assert exported.returncode == 0, exported.stderr
    with subprocess.Popen(
            [BINARY, "tail", "--after", "earliest", *map(str, reach + root)], env=environment(), text=True,
            stdout=subprocess.PIPE) as tail:
        assert "room.created" in tail.stdout.readline()
        tail.terminate()
    assert_one_line_error(comblang("room", "list", *reach), "certificate is not trusted", "--certificate-authority")
    assert_one_line_error(comblang("room", "list", *reach, "--certificate-authority", secure.key), "PEM")
    assert_one_line_error(comblang("room", "list", *reach, "--certificate-authority", "nowhere.pem"), "nowhere.pem")
    stranger = Authority(secure.authority.directory / "other")
    assert_one_line_error(
        comblang("room", "list", *reach, "--certificate-authority", stranger.root), "certificate is not trusted")
    named = ("--url", secure.server.url.replace("127.0.0.1", "127.0.0.2"), "--data-dir", secure.server.data)
    assert_one_line_error(comblang("room", "list", *named, *root), "127.0.0.2")


def test_a_command_that_finds_no_tls_says_so(server: Server):
    url = server.url.replace("http:", "https:")
    assert_one_line_error(comblang("room", "list", "--url", url, "--data-dir", server.data), "does not speak TLS")


def test_drain_ends_http2_streams_and_the_process(secure: Secure):
    signed_up = secure.curl("/v1/users", "--http2", "-d", '{"username":"siti"}')
    bearer = f"Authorization: Bearer {json.loads(signed_up.stdout)['accessToken']}"
    reader = subprocess.Popen(
        ["curl", "-sSN", "--http2", "--cacert", str(secure.authority.root), "-H", bearer,
         f"{secure.server.url}/v1/events/stream"], stdout=subprocess.PIPE, text=True)
    try:
        assert "stream.ready" in "".join(reader.stdout.readline() for _ in range(3))
        started = time.monotonic()
        assert secure.server.stop() == 0
        assert time.monotonic() - started < 14
        assert '"reason":"drain"' in reader.communicate(timeout=10)[0]
        assert reader.returncode == 0
    finally:
        reader.kill()


def test_what_is_no_tls_or_no_handshake_holds_nothing(secure: Secure):
    sockets = settled_sockets(secure.server)
    plain = subprocess.run(
        ["curl", "-sS", "-m", "10", f"http://127.0.0.1:{secure.server.port}/healthz"], capture_output=True)
    assert plain.returncode != 0
    silent = [socket.create_connection(("127.0.0.1", secure.server.port), 5) for _ in range(20)]
    try:
        wait_until(lambda: secure.server.open_sockets() >= sockets + 20, "they are connected")
        wait_until(lambda: secure.server.open_sockets() <= sockets, "they are closed after ten seconds", 20)
    finally:
        for connection in silent:
            connection.close()
    assert secure.curl("/healthz", "--http2").returncode == 0


def test_bad_files_are_told_in_one_line(tmp_path):
    authority = Authority(tmp_path / "tls")
    (certificate, key), (_, other) = authority.issue("a"), authority.issue("b")
    paths = {}
    for name, data in {"certificate": certificate, "key": key, "other": other, "text": b"no PEM"}.items():
        paths[name] = tmp_path / f"{name}.pem"
        paths[name].write_bytes(data)

    def serve(*arguments) -> subprocess.CompletedProcess:
        return subprocess.run(
            [BINARY, "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *map(str, arguments)],
            env=environment(), capture_output=True, text=True, timeout=30)

    assert_one_line_error(serve("--tls-key", paths["key"]), "tlsCertificate", "missing")
    assert_one_line_error(serve("--tls-certificate", paths["certificate"]), "tlsKey", "missing")
    pair = ("--tls-certificate", paths["certificate"], "--tls-key")
    assert_one_line_error(serve(*pair, tmp_path / "nowhere.pem"), "cannot read the key", "nowhere.pem")
    assert_one_line_error(serve(*pair, paths["text"]), "no private key in PEM")
    assert_one_line_error(serve(*pair, paths["other"]), "is not the key of")
    assert_one_line_error(
        serve("--tls-certificate", paths["text"], "--tls-key", paths["key"]), "no certificate in PEM")
