"""TURN with Debian's coturn: who gets credentials, that real peers connect by them alone, and that others do not."""

import asyncio
import base64
import hashlib
import hmac
import re
import time

import aioice.stun
import aioice.turn
import pytest

from lib.browser import chromium
from lib.calls import active, pair, start
from lib.client import Client
from lib.inbox import Inbox
from lib.party import PageParty, PeerParty
from lib.relay import SECRET, Relay
from lib.server import Server, assert_one_line_error, comblang, until
from lib.wires import Follower

FRAMES_MIN = 10
RED = (200, 30, 30)


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as relay:
        yield relay


def serve(server_factory, relay: Relay, transport: str = "udp", **settings) -> Server:
    return server_factory(
        turn_url=relay.url(transport), turn_secret=SECRET, stun_url=relay.url(scheme="stun"), **settings).start()


def credentials_of(configuration: dict) -> tuple[str, str]:
    (server,) = [server for server in configuration["iceServers"] if "credential" in server]
    return server["username"], server["credential"]


async def allocates(relay: Relay, username: str, password: str) -> bool:
    """Whether coturn gives an allocation for these; fails on anything but 401."""
    try:
        transport, _ = await aioice.turn.create_turn_endpoint(
            asyncio.DatagramProtocol, server_addr=("127.0.0.1", relay.port), username=username, password=password,
            # A connection of its own each time: coturn remembers a datagram's port for a while.
            transport="tcp")
    except aioice.stun.TransactionFailed as error:
        assert error.response.attributes["ERROR-CODE"][0] == 401, error
        return False
    transport.close()
    return True


def log_of_allocations(relay: Relay) -> dict[str, int]:
    """How many each participant made."""
    made = re.findall(r"user <\d+:([^>]+)>: incoming packet ALLOCATE processed, success", relay.output())
    return {user: made.count(user) for user in set(made)}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_peers_that_may_only_be_relayed_connect_with_what_comblang_gave(server_factory, relay, transport):
    """A page and aiortc, each with `iceTransportPolicy: relay`: the media goes from relay to relay."""
    server = serve(server_factory, relay, transport)
    async with pair(server) as (ani, budi, room), chromium() as browser:
        page = await PageParty.listening(ani, browser)
        async with PeerParty.listening(budi, RED) as peer:
            call = await page.start(room, relayed=True)
            await peer.join(call, relayed=True)

            await until(lambda: page.sees([budi.id], FRAMES_MIN), "the page sees aiortc", 60)
            await until(lambda: peer.sees([ani.id], FRAMES_MIN), "aiortc sees the page", 60)
            (connection,) = (await page.connections()).values()
            assert connection["localCandidateType"] == "relay" and connection["relayProtocol"] == transport
            sent = await page.candidates() + await peer.candidates()
            assert sent and all(" typ relay " in candidate for candidate in sent), sent
            await page.report()
            await budi.post(f"{call}/quality", {"localCandidateType": "relay", "packetLoss": 0}, expect=204)
            await ani.post(f"{call}/end")
            # The last report is made when all is over.
            await page.report()
        await page.close()
    print(f"allocations: {log_of_allocations(relay)}")
    # The relay knows whose allocations they were, and Comblang's log knows no secret.
    log = relay.output()
    for user in (ani, budi):
        assert f"{user.id}.{call.rsplit('/', 1)[1]}" in log
    assert SECRET not in server.output() and "credential" not in server.output()


async def test_everyone_sees_everyone_in_a_call_of_three(server):
    """Two pages and aiortc, each with a connection to each other one."""
    async with (pair(server) as (ani, budi, room), await Client.sign_up(server, "citra") as citra,
                chromium() as browser):
        await citra.join_room(room)
        first = await PageParty.listening(ani, browser)
        third = await PageParty.listening(citra, browser)
        async with PeerParty.listening(budi, RED) as second:
            call = await first.start(room, relayed=False)
            await second.join(call, relayed=False)
            await third.join(call, relayed=False)
            parties = {ani.id: first, budi.id: second, citra.id: third}
            for user, party in parties.items():
                others = [other for other in parties if other != user]
                await until(lambda: party.sees(others, FRAMES_MIN), f"{user} sees the two others", 60)
            for party in (first, third):
                await party.report()
            record = await ani.get(call)
            assert record["state"] == "active"
            assert {p["user"]: p["state"] for p in record["participants"]} == dict.fromkeys(parties, "joined")
            # One goes, two stay.
            await citra.post(f"{call}/leave")
            assert (await ani.get(call))["state"] == "active"
            await ani.post(f"{call}/end")
        for party in (first, third):
            await party.close()


async def test_the_relay_takes_these_credentials_and_no_others(server_factory, relay):
    server = serve(server_factory, relay)
    async with pair(server) as (ani, budi, room):
        call = await start(ani, room)
        username, password = credentials_of(await ani.get("/v1/ice-servers", params={"call": call.split("/")[-1]}))
        expiry, bearer = username.split(":")
        assert bearer == f"{ani.id}.{call.split('/')[-1]}" and 3590 < int(expiry) - time.time() <= 3600
        assert await allocates(relay, username, password)
        # Another time or another user under the same password, and the password of another secret.
        assert not await allocates(relay, f"{int(expiry) + 1}:{bearer}", password)
        assert not await allocates(relay, f"{expiry}:{budi.id}.{call.split('/')[-1]}", password)
        forged = base64.b64encode(hmac.digest(b"guessed", username.encode(), hashlib.sha1)).decode()
        assert not await allocates(relay, username, forged)
        # Who has not joined is given none.
        await budi.get("/v1/ice-servers", params={"call": call.split("/")[-1]}, expect=409)
        assert (await budi.get("/v1/ice-servers"))["ttlSeconds"] is None


async def test_an_expired_credential_is_refused_by_the_relay(server_factory, relay):
    server = serve(server_factory, relay, turn_ttl_seconds=3)
    async with pair(server) as (ani, _, room):
        body = {"media": {"audio": True, "video": False}}
        created = await ani.post(f"/v1/rooms/{room}/calls", body, expect=201)
        username, password = credentials_of(created["iceServers"])
        assert created["iceServers"]["ttlSeconds"] == 3
        assert await allocates(relay, username, password)

        async def is_refused() -> bool:
            return not await allocates(relay, username, password)

        await until(is_refused, "coturn refuses what has expired", 20)
        assert time.time() >= int(username.split(":")[0])
        fresh = await ani.get("/v1/ice-servers", params={"call": created["call"]["id"]})
        assert await allocates(relay, *credentials_of(fresh))


async def test_refreshes_reach_every_participant_and_survive_a_restart(server_factory, relay):
    server = serve(server_factory, relay, turn_ttl_seconds=4)
    async with pair(server) as (ani, budi, room):
        inboxes = [
            Inbox(Follower(server.port, client.token, None, cursor=await client.tail()), wire)
            for client, wire in ((ani, "sse"), (budi, "poll"))]
        async with inboxes[0], inboxes[1]:
            call = await active(ani, budi, room)
            for inbox in inboxes:
                event = await inbox.wait_for(lambda event: event["type"] == "ice-servers.refresh", "a refresh")
                assert event["data"] == {} and event["call"] == call.split("/")[-1]
            # Due while the server was away: told when it is back, and told again.
            await server.restart_after_kill()
            for _ in range(2):
                for inbox in inboxes:
                    await inbox.wait_for(lambda event: event["type"] == "ice-servers.refresh", "another refresh")
            fresh = await budi.get("/v1/ice-servers", params={"call": call.split("/")[-1]})
            assert await allocates(relay, *credentials_of(fresh))
            await ani.post(f"{call}/end")


@pytest.mark.parametrize("settings, words", [
    ({"turn_url": "turn:example.test"}, ("turnSecret",)),
    ({"turn_secret": SECRET}, ("turnUrl",)),
    ({"turn_url": "stun:example.test", "turn_secret": SECRET}, ("turnUrl", "turn:")),
    ({"turn_url": ",".join(f"turn:t{n}.test" for n in range(17)), "turn_secret": SECRET}, ("turnUrl", "16")),
    ({"stun_url": ",".join(f"stun:t{n}.test" for n in range(17))}, ("stunUrl", "16")),
    ({"stun_url": "turn:example.test"}, ("stunUrl", "stun:")),
    ({"turn_url": "turn:t.test", "turn_secret": SECRET, "turn_ttl_seconds": 1}, ("turnTtlSeconds",)),
    ({"turn_url": "turn:t.test", "turn_secret": SECRET, "turn_secret_file": "/etc/hostname"}, ("turnSecretFile",)),
    ({"turn_url": "turn:t.test", "turn_secret_file": "/nowhere"}, ("turnSecretFile",)),
], ids=lambda value: "-".join(value) if isinstance(value, (tuple, dict)) else None)
def test_a_bad_ice_setting_is_named(tmp_path, settings, words):
    result = comblang("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), **settings)
    assert_one_line_error(result, *words)
    assert SECRET not in result.stderr and not (tmp_path / "data").exists()


async def test_servers_come_from_flags_and_the_secret_from_a_file(server_factory, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("north\n")
    server = server_factory(
        stun_url="none", turn_url="turn:a.test,turns:b.test:443", turn_secret_file=str(secret)).start()
    async with pair(server) as (ani, _, room):
        call = await start(ani, room)
        given = await ani.get("/v1/ice-servers", params={"call": call.split("/")[-1]})
        (relay,) = given["iceServers"]
        assert relay["urls"] == ["turn:a.test", "turns:b.test:443"]
        expected = hmac.digest(b"north", relay["username"].encode(), hashlib.sha1)
        assert relay["credential"] == base64.b64encode(expected).decode()
        assert "north" not in server.output()
