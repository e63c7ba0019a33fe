"""What somebody learns of rooms, calls, devices, tickets and cursors that are other people's: nothing."""

import asyncio
import json

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from lib.calls import MEDIA, OFFER, active, start
from lib.client import Client
from lib.ledger import Sightings
from lib.operations import NOBODY, UPGRADE
from lib.server import Server
from lib.wires import WIRES, Follower
from test_permissions import assert_tells_nothing

pytestmark = pytest.mark.anyio


async def live_a_private_life(owner: Client, friend: Client) -> list[str]:
    """All that happens in a room and a call, and the ids that nobody else may hear of."""
    room = (await owner.create_room("private", title="Rahasia"))["id"]
    path = f"/v1/rooms/{room}"
    await owner.put(f"{path}/members/{friend.id}", {}, expect=201)
    message = await owner.post(
        f"{path}/messages", {"content": "antara kita", "metadata": {"pin": True}}, expect=201)
    await friend.patch(f"{path}", {"title": "x"}, expect=403)
    await owner.patch(f"{path}/messages/{message['id']}", {"content": "antara kita berdua"})
    await friend.post(f"{path}/typing", expect=204)
    await friend.put(f"{path}/read", {"message": message["id"]}, expect=204)
    rung = await start(owner, room, [friend])
    await friend.post(f"{rung}/reject", {"reason": "rapat"})
    call = await active(owner, friend, room)
    candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.7 9 typ host", "usernameFragment": "abcd"}
    await friend.post(
        f"{call}/signals", {"to": owner.id, "type": "candidates", "candidates": [candidate]}, expect=202)
    await owner.post(f"{call}/signals", {"to": friend.id, "type": "custom", "payload": 1}, expect=202)
    await owner.patch(f"{call}/participants/me", {"media": {"audio": False}, "connection": "connected"})
    await owner.post(f"{call}/end")
    await owner.patch(path, {"title": "Rahasia lagi"})
    await owner.delete(f"{path}/messages/{message['id']}")
    await owner.delete(f"{path}/members/{friend.id}")
    await owner.delete(path)
    return [room, message["id"], rung.split("/")[-1], call.split("/")[-1], "Rahasia", "antara kita", "192.0.2.7"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_private_life_is_heard_of_on_no_wire(shared_server: Server, wire: str):
    async with (
        await Client.sign_up(shared_server, "owner") as owner, await Client.sign_up(shared_server, "friend") as friend,
        await Client.sign_up(shared_server, "outsider") as outsider,
    ):
        square = (await owner.create_room())["id"]
        await outsider.join_room(square)
        sightings = Sightings("the outsider")
        follower = Follower(shared_server.port, outsider.token, sightings.see, cursor=await outsider.tail())
        following = asyncio.create_task(follower.follow(wire))
        before = await owner.tail()
        secrets = await live_a_private_life(owner, friend)
        await owner.say(square, "the end")
        while not any(message["content"] == "the end" for message in sightings.messages):
            assert not following.done(), following.result()
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

        # Neither while it happens nor afterwards, from nobody's cursor and by no list.
        heard = [sightings.events, follower.control, await outsider.log(after="earliest"), await outsider.log(after=before)]
        for path in ("/v1/rooms", "/v1/users", "/v1/calls", f"/v1/rooms/{square}/messages?q=rahasia"):
            heard.append(await outsider.get(path))
        assert sightings.messages, "the outsider heard what is in the room of both"
        text = json.dumps(heard)
        assert [secret for secret in secrets if secret in text] == []
        assert friend.id not in text and friend.user["username"] not in text


async def test_a_private_room_is_not_there_for_tickets_guests_and_keys_of_others(shared_server: Server):
    async with (
        await Client.sign_up(shared_server, "owner") as owner,
        await Client.sign_up(shared_server, "outsider", password="rahasia sekali") as outsider,
    ):
        room = (await owner.create_room("private"))["id"]
        call = await start(owner, room)
        hidden = {"room": room, "call": call.removeprefix("/v1/calls/")}
        missing = {"room": f"room_{NOBODY}", "call": f"call_{NOBODY}"}

        async def assert_same(path: str, query: dict, headers: dict, make_ticket=None) -> None:
            answers = []
            async with httpx.AsyncClient(base_url=shared_server.url) as client:
                for places in (hidden, missing):
                    given = {name: value.format(**places) for name, value in query.items()}
                    if make_ticket is not None:
                        given["ticket"] = (await make_ticket())["ticket"]
                    answers.append(await client.get(path.format(**places), params=given, headers=headers))
            assert_tells_nothing(*answers)

        async def ticket() -> dict:
            return await outsider.post("/v1/stream-tickets", expect=201)

        key = await outsider.post("/v1/users/me/api-keys", {"name": "k", "scopes": ["events:read"]}, expect=201)
        authorization = {"Authorization": f"Bearer {key['key']}"}
        for path, query, headers in [
            ("/ws/{room}", {}, UPGRADE), ("/v1/rooms/{room}/events/stream", {}, {}),
            ("/v1/calls/{call}/events/stream", {}, {}), ("/v1/events/stream", {"room": "{room}"}, {}),
        ]:
            await assert_same(path, query, headers, ticket)
            await assert_same(path, query, headers | authorization)
        await assert_same("/ws/{room}", {"username": "Tamu"}, UPGRADE)


async def test_what_lies_in_a_private_room_is_not_in_ones_own(shared_server: Server):
    """Ids of others under a path of one's own."""
    async with (
        await Client.sign_up(shared_server, "owner") as owner, await Client.sign_up(shared_server, "outsider") as outsider,
    ):
        private, own = (await owner.create_room("private"))["id"], (await outsider.create_room("private"))["id"]
        hidden, missing = (await owner.say(private, "di sini"))["id"], f"msg_{NOBODY}"
        for method, path, body in (
            ("GET", "/messages/{}", None), ("PATCH", "/messages/{}", {"content": "x"}), ("DELETE", "/messages/{}", None),
            ("PUT", "/read", {"message": "{}"}), ("GET", "/messages?before={}", None),
        ):
            got = [
                await outsider.request(
                    method, f"/v1/rooms/{own}{path}".format(id), body and {k: v.format(id) for k, v in body.items()})
                for id in (hidden, missing)
            ]
            assert [answer.status_code for answer in got][0] == got[1].status_code, path
            told = [answer.text.replace(hidden, missing) for answer in got]
            problems = [{k: v for k, v in json.loads(text).items() if k not in ("instance", "requestId")} for text in told]
            assert problems[0] == problems[1], path
        assert (await owner.get(f"/v1/rooms/{private}/messages/{hidden}"))["content"] == "di sini"


async def test_a_device_of_the_same_name_is_somebody_elses(shared_server: Server):
    """Labels of devices are each user's own: neither signals nor places in a call go by them alone."""
    async with (
        await Client.sign_up(shared_server, "ani", device="tab-1") as ani,
        await Client.sign_up(shared_server, "budi", device="tab-1") as budi,
        await Client.sign_up(shared_server, "citra", device="tab-1") as citra,
    ):
        room = (await ani.create_room("private"))["id"]
        for user in (budi, citra):
            await ani.put(f"/v1/rooms/{room}/members/{user.id}", {}, expect=201)
        call = await active(ani, budi, room)
        await ani.post(f"{call}/signals", {"to": budi.id, "type": "custom", "payload": "untuk Budi"}, expect=202)
        before = await ani.get(call)
        assert "untuk Budi" not in json.dumps(await citra.log(f"{call}/events"))
        assert "untuk Budi" in json.dumps(await budi.log(f"{call}/events"))
        # Another device of Budi's hears nothing of it either, and cannot act for the one that is in the call.
        async with budi.with_device("tab-2") as other_tab:
            assert "untuk Budi" not in json.dumps(await other_tab.log(f"{call}/events"))
            for method, path, body in (
                ("POST", "/signals", {"to": ani.id, "type": "custom", "payload": 1}), ("POST", "/leave", {}),
                ("PATCH", "/participants/me", MEDIA), ("POST", "/join", MEDIA),
            ):
                assert (await other_tab.request(method, f"{call}{path}", body)).status_code == 409, path
        await citra.post(f"{call}/leave")
        assert await ani.get(call) == before
        await ani.post(f"{call}/end")


async def test_a_leave_token_is_for_its_own_leg_of_its_own_call(shared_server: Server):
    async with (
        await Client.sign_up(shared_server, "ani") as ani, await Client.sign_up(shared_server, "budi") as budi,
        httpx.AsyncClient(base_url=shared_server.url) as nobody,
    ):
        calls, tokens = [], []
        for caller in (ani, budi):
            room = (await caller.create_room("private"))["id"]
            made = await caller.post(f"/v1/rooms/{room}/calls", MEDIA, expect=201)
            calls.append(f"/v1/calls/{made['call']['id']}")
            tokens.append(made["leaveToken"])
        for path in ("leave", "end"):
            body = json.dumps({"leaveToken": tokens[1]})
            wrong, missing, made_up = [
                await nobody.post(f"{call}/{path}", content=text, headers={"Content-Type": "text/plain"})
                for call, text in (
                    (calls[0], body), (f"/v1/calls/call_{NOBODY}", body),
                    (calls[0], json.dumps({"leaveToken": "cbl_" + "A" * 43})))
            ]
            assert wrong.status_code == missing.status_code == made_up.status_code == 401, (wrong.text, missing.text)
        assert [(await caller.get(call))["state"] for caller, call in zip((ani, budi), calls)] == ["ringing", "ringing"]
        left = await nobody.post(f"{calls[1]}/leave", content=body, headers={"Content-Type": "text/plain"})
        assert left.status_code == 200 and left.json()["state"] == "ended"


async def test_a_room_socket_reaches_its_own_room_only(shared_server: Server):
    """A signal to somebody elsewhere and one to nobody are answered alike; who is put out hears no more."""
    async with (
        await Client.sign_up(shared_server, "owner") as owner, await Client.sign_up(shared_server, "member") as member,
        await Client.sign_up(shared_server, "elsewhere") as elsewhere,
    ):
        room = (await owner.create_room("private"))["id"]
        await owner.put(f"/v1/rooms/{room}/members/{member.id}", {}, expect=201)
        await elsewhere.create_room("private")
        url = f"ws://127.0.0.1:{shared_server.port}/ws/{room}"
        async with connect(url, additional_headers=member.headers()) as socket:
            frames: list[dict] = [json.loads(await socket.recv())]
            assert frames[0]["type"] == "welcome"
            inner = json.dumps({"type": "offer", "sdp": OFFER})
            for to in (elsewhere.id, f"usr_{NOBODY}"):
                await socket.send(json.dumps({"type": "signal", "to": to, "content": inner}))
                while (frame := json.loads(await socket.recv()))["type"] != "error":
                    frames.append(frame)
                frames.append(frame | {"message": frame["message"].replace(to, "")})
            assert frames[-1] == frames[-2] and frames[-1]["code"] == "recipient-offline"
            await owner.delete(f"/v1/rooms/{room}/members/{member.id}")
            await owner.say(room, "tanpa dia")
            rest: list[dict] = []
            with pytest.raises(ConnectionClosedError, match="revoked"):
                while True:
                    rest.append(json.loads(await socket.recv()))
            assert all(frame.get("content") != "tanpa dia" for frame in rest)
