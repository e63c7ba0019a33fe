"""Webhooks against receivers that fail, stall, restart, redirect and move: every event arrives, in order, signed."""

import asyncio
import contextlib
import http.server
import json
import socket
import threading
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from lib.client import Client
from lib.server import Server, until
from lib.storage_fault import refusing_writes

pytestmark = pytest.mark.anyio


class Receiver:
    """An HTTP server of the test: answers by `behave`, and keeps what it has taken with a 2xx."""

    def __init__(self, port: int = 0):
        self.taken: list[dict] = []
        self.ids: list[str] = []
        self.requests = 0
        self.behave = lambda number: 200
        self.secrets: list[str] = []
        self.forged = 0
        self.location = ""
        self.is_closed = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests += 1
                status = receiver.behave(receiver.requests)
                if isinstance(status, float):
                    time.sleep(status)
                    status = 200
                if status == "cut":
                    self.close_connection = True
                    return
                is_stalled = status == "head, then silence"
                if is_stalled:
                    status = 200
                for secret in receiver.secrets:
                    try:
                        Webhook(secret).verify(body, dict(self.headers.items()))
                        break
                    except WebhookVerificationError:
                        continue
                else:
                    receiver.forged += 1
                if status == 200:
                    receiver.ids.append(self.headers["webhook-id"])
                    receiver.taken.append(json.loads(body))
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "10" if is_stalled else "0")
                self.end_headers()
                if is_stalled:
                    self.close_connection = True
                    receiver.is_closed.wait()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def contents(self) -> list[str]:
        return [event["data"]["content"] for event in self.taken if event["type"] == "message.created"]

    def close(self) -> None:
        self.is_closed.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(server_factory) -> Server:
    return server_factory(webhook_networks="127.0.0.0/8").start()


@pytest.fixture
def receiver():
    with contextlib.closing(Receiver()) as receiver:
        yield receiver


async def hook(admin: Client, receiver: Receiver, **more) -> dict:
    made = await admin.post("/v1/webhooks", {"url": receiver.url} | more, expect=201)
    receiver.secrets.append(made["secret"])
    return made


async def hurry(admin: Client, webhook: dict) -> None:
    """Makes the next attempt come now: what an admin would do who has mended a receiver."""
    await admin.patch(f"/v1/webhooks/{webhook['id']}", {"description": "mended"})


async def test_every_event_arrives_in_order_and_signed(server: Server, receiver):
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room("private"))["id"]
        other = (await siti.create_room())["id"]
        await hook(admin, receiver, room=room, types=["message.*", "call.*"])
        for number in range(50):
            await siti.say(room, f"{number}")
            await siti.say(other, "elsewhere")
        call = (await siti.post(
            f"/v1/rooms/{room}/calls", {"media": {"audio": True, "video": False}}, expect=201))["call"]["id"]
        await siti.post(f"/v1/calls/{call}/end")
        await until(lambda: any(event["type"] == "call.ended" for event in receiver.taken), "the call's end arrives")
        assert [text for text in receiver.contents() if text.isdigit()] == [str(number) for number in range(50)]
        assert receiver.forged == 0 and len(set(receiver.ids)) == len(receiver.ids)
        assert all(event["room"] == room and "timestamp" in event for event in receiver.taken)
        types = {event["type"] for event in receiver.taken}
        assert types <= {"message.created", "call.created", "call.updated", "call.ended", "call.participant"}
        cursors = [int(event["id"].split(".")[1]) for event in receiver.taken]
        assert cursors == sorted(cursors)


async def test_a_receiver_that_fails_and_cuts_gets_everything_once_it_is_mended(server: Server, receiver):
    answers = {1: 500, 2: "cut", 3: 503, 4: 400}
    receiver.behave = lambda number: answers.get(number, 200)
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        for number in range(10):
            await siti.say(room, str(number))
        for attempt in range(1, 5):
            await until(lambda: receiver.requests >= attempt, f"attempt {attempt}")

            async def is_told() -> bool:
                shown = await admin.get(f"/v1/webhooks/{webhook['id']}")
                return shown["nextAttemptAt"] is not None and shown["lastError"] is not None

            await until(is_told, "the failure is told")
            await hurry(admin, webhook)
        await until(lambda: len(receiver.taken) == 10, "all arrive")
        assert receiver.contents() == [str(number) for number in range(10)] and receiver.forged == 0

        async def attempts() -> list[dict]:
            return (await admin.get(f"/v1/webhooks/{webhook['id']}/attempts"))["items"]

        async def all_logged() -> bool:
            return len(await attempts()) == 14

        await until(all_logged, "the log of attempts is complete")
        log = (await attempts())[::-1]
        assert [entry["status"] for entry in log[:5]] == [500, None, 503, 400, 200]
        assert [entry["attempt"] for entry in log[:5]] == [1, 2, 3, 4, 5]
        assert all(entry["error"] for entry in log[:4]) and log[4]["error"] is None


async def test_an_answer_that_never_ends_holds_nothing_up(server: Server, receiver):
    receiver.behave = lambda number: "head, then silence" if number == 1 else 200
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        await siti.say(room, "pertama")
        await siti.say(room, "kedua")
        await until(lambda: receiver.contents() == ["pertama", "kedua"], "the next event arrives", 40)

        async def are_logged() -> bool:
            log = (await admin.get(f"/v1/webhooks/{webhook['id']}/attempts"))["items"]
            return [entry["status"] for entry in log] == [200, 200]

        await until(are_logged, "the status is what counts")


async def test_what_cannot_be_written_down_is_not_delivered_again(server: Server, receiver):
    is_locked = threading.Event()
    receiver.behave = lambda number: 200 if is_locked.wait(30) else 500
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        for number in range(3):
            await siti.say(room, str(number))
        await until(lambda: receiver.requests == 1, "the first one is under way")
        with refusing_writes(server.data):
            is_locked.set()
            await until(lambda: "webhook not" in server.output(), "what was delivered is not written down", 30)

        async def are_logged() -> bool:
            return len((await admin.get(f"/v1/webhooks/{webhook['id']}/attempts"))["items"]) >= 3

        await until(are_logged, "it is written down after all", 30)
        assert receiver.contents() == ["0", "1", "2"] and receiver.requests == 3


async def test_a_name_server_that_is_silent_holds_up_no_sign_in(server_factory, tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.77.77.77\noptions timeout:30 attempts:1\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        try:
            name_server.bind(("127.77.77.77", 53))
        except PermissionError:
            pytest.skip("nobody but root can be a name server")
        name_server.settimeout(10)
        server = server_factory()
        server.wrapper = [
            "unshare", "--mount", "sh", "-c", f'mount --bind "{resolver}" /etc/resolv.conf && exec "$@"', "sh"]
        server.start()
        async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
            room = (await siti.create_room())["id"]
            asked, hooks = set(), []
            for number in range(4):
                url = f"https://receiver-{number}.example/hook"
                hooks.append(await admin.post("/v1/webhooks", {"url": url, "types": ["message.created"]}, expect=201))
            await siti.say(room, "halo")
            while len(asked) < 2:
                asked.add((await asyncio.to_thread(name_server.recv, 512))[12:].split(b"\0")[0])
            await asyncio.wait_for(Client.sign_up(server, "ani", password="rahasia sekali"), 20)
            for webhook in hooks:
                error = (await admin.get(f"/v1/webhooks/{webhook['id']}"))["lastError"]
                assert error is None, f"the name server was asked no longer: {error}"
        assert server.stop() == 0


async def test_a_receiver_that_is_down_is_tried_again_by_itself(server: Server):
    first = Receiver()
    port = first.port
    first.close()
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, first, types=["message.created"])
        await siti.say(room, "halo")

        async def has_failed() -> bool:
            return (await admin.get(f"/v1/webhooks/{webhook['id']}"))["failingSince"] is not None

        await until(has_failed, "the failure is told")
        with contextlib.closing(Receiver(port)) as second:
            second.secrets = first.secrets
            # Five seconds, give or take a fifth, from the first failure on.
            await until(lambda: second.contents() == ["halo"], "it arrives", 30)
            assert second.forged == 0


async def test_nothing_is_lost_and_little_doubled_when_the_server_is_killed(server: Server, receiver):
    receiver.behave = lambda number: 0.01
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        await hook(admin, receiver, types=["message.created"])
        for number in range(60):
            await siti.say(room, str(number))
            if number in (20, 40):
                await until(lambda: len(receiver.taken) > 5, "deliveries are under way")
                await server.restart_after_kill()
        await until(lambda: "59" in receiver.contents(), "the last arrives", 30)
        first_seen = list(dict.fromkeys(receiver.contents()))
        assert first_seen == [str(number) for number in range(60)]
        # What came twice came by the same id, so that a receiver can tell.
        assert len(set(receiver.ids)) == 60 and receiver.forged == 0


async def test_one_that_stalls_holds_up_nobody_else(server: Server, receiver):
    stalled, is_over = Receiver(), threading.Event()
    stalled.behave = lambda number: is_over.wait() and 200
    with contextlib.closing(stalled):
        async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
            room = (await siti.create_room())["id"]
            await hook(admin, stalled, types=["message.created"])
            await siti.say(room, "0")
            await until(lambda: stalled.requests == 1, "it stalls")
            await hook(admin, receiver, types=["message.created"])
            try:
                for number in range(1, 6):
                    await siti.say(room, str(number))
                # Sooner than the sender gives the stalled one up.
                await until(lambda: len(receiver.taken) == 5, "the other gets all of it", 10)
                assert stalled.requests == 1 and not stalled.taken
            finally:
                is_over.set()


async def test_secrets_are_rotated_without_a_gap(server: Server, receiver):
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        rotated = await admin.post(f"/v1/webhooks/{webhook['id']}/secret")
        old, new = receiver.secrets[0], rotated["secret"]
        for secret in (old, new):
            receiver.secrets = [secret]
            await siti.say(room, "halo")
            await until(lambda: receiver.contents().count("halo") == (1 if secret == old else 2), "it arrives")
        assert receiver.forged == 0


async def test_what_was_delivered_is_delivered_again_on_request(server: Server, receiver):
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        cursor = await siti.tail()
        for number in range(3):
            await siti.say(room, str(number))
        await until(lambda: len(receiver.taken) == 3, "all arrive")
        await admin.post(f"/v1/webhooks/{webhook['id']}/redeliver", {"after": cursor})
        await until(lambda: len(receiver.taken) == 6, "all arrive again")
        assert receiver.contents() == ["0", "1", "2"] * 2 and receiver.ids[:3] == receiver.ids[3:]


async def test_a_receiver_that_is_gone_is_disabled_with_a_notice(server: Server, receiver):
    receiver.behave = lambda number: 410
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        webhook = await hook(admin, receiver, types=["message.created"])
        cursor = await admin.tail()
        await siti.say(room, "halo")

        async def is_disabled() -> bool:
            return not (await admin.get(f"/v1/webhooks/{webhook['id']}"))["enabled"]

        await until(is_disabled, "it is disabled")
        notices = await admin.log(after=cursor, types="webhook.disabled")
        assert [notice["data"]["reason"] for notice in notices] == ["gone"]
        assert "webhook disabled" in server.output()
        receiver.behave = lambda number: 200
        await admin.patch(f"/v1/webhooks/{webhook['id']}", {"enabled": True})
        await until(lambda: receiver.contents() == ["halo"], "it goes on where it stopped")


async def test_redirects_are_not_followed(server: Server, receiver):
    with contextlib.closing(Receiver()) as elsewhere:
        receiver.behave = lambda number: 307
        receiver.location = elsewhere.url
        async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
            room = (await siti.create_room())["id"]
            webhook = await hook(admin, receiver, types=["message.created"])
            await siti.say(room, "halo")

            async def is_told() -> bool:
                return "307" in ((await admin.get(f"/v1/webhooks/{webhook['id']}"))["lastError"] or "")

            await until(is_told, "the failure is told")
            assert elsewhere.requests == 0


@pytest.mark.parametrize("networks", ["", "10.0.0.0/8"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "127.1"])
async def test_places_inside_are_refused_at_each_delivery(server_factory, receiver, networks, host):
    server = server_factory(**({"webhook_networks": networks} if networks else {})).start()
    async with Client.admin(server) as admin, await Client.sign_up(server, "siti") as siti:
        room = (await siti.create_room())["id"]
        for scheme in ("http", "https"):
            url = f"{scheme}://{host}:{receiver.port}/hook"
            webhook = await admin.post("/v1/webhooks", {"url": url, "types": ["message.created"]}, expect=201)
            await siti.say(room, "halo")

            async def is_told() -> bool:
                error = (await admin.get(f"/v1/webhooks/{webhook['id']}"))["lastError"]
                return error is not None and ("webhookNetworks" in error or "no address" in error)

            await until(is_told, "the refusal is told")
        assert receiver.requests == 0
