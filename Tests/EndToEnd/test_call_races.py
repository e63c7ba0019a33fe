"""Two things at once, over real sockets: always one outcome, the same for both sides and in the record.

Each race is run many times with both requests on their way at the same moment; which side wins is chance, and each
round says what had to follow from that.
"""

import asyncio
import random

import pytest

from conftest import SCALE
from lib.calls import MEDIA, active, answer, offer, outcome, pair, start
from lib.client import Client
from lib.server import until

# 200 at SCALE=20.
ROUNDS = max(3, round(10 * SCALE))


async def at_once(*requests):
    """The answers, in the order of the arguments; the requests start in a random one."""
    order = list(range(len(requests)))
    random.shuffle(order)
    tasks = {}
    for index in order:
        tasks[index] = asyncio.ensure_future(requests[index])
    return [await tasks[index] for index in range(len(requests))]


def assert_refused(answer, slug: str, call: str) -> dict:
    """409 with the call as it is now; returns the problem."""
    problem = answer.json()
    assert answer.status_code == 409 and problem["type"] == f"/problems/{slug}", answer.text
    assert call.endswith(problem["call"]["id"]), "the call as it is now is in the body"
    return problem


@pytest.mark.parametrize("takeover", [False, True])
async def test_two_devices_join_at_once(shared_server, takeover):
    async with pair(shared_server) as (ani, budi, room):
        phone, laptop = budi.with_device("phone"), budi.with_device("laptop")
        for _ in range(ROUNDS):
            call = await start(ani, room, [budi])
            answers = await at_once(
                phone.request("POST", f"{call}/join", {}), laptop.request("POST", f"{call}/join", {"takeover": takeover}))
            owner = (await ani.get(call))["participants"][1]["device"]
            winners = [side for side, answer in zip(("phone", "laptop"), answers) if answer.status_code == 200]
            assert owner.endswith("." + winners[-1]), (owner, winners)
            if not takeover:
                assert len(winners) == 1
            for refused in (answer for answer in answers if answer.status_code != 200):
                problem = assert_refused(refused, "joined-elsewhere", call)
                assert problem["call"]["participants"][1]["device"] == owner
            told = [event for event in await laptop.log(f"{call}/events") if event["type"] == "call.answered-elsewhere"]
            assert len(told) == len(winners) and told[-1]["data"]["device"] == owner
            # A place has one leg that is open, and only its device leaves.
            loser = phone if owner.endswith(".laptop") else laptop
            assert_refused(await loser.request("POST", f"{call}/leave", {}), "joined-elsewhere", call)
            await ani.post(f"{call}/end")
            assert (await outcome(call, ani, phone))["endReason"] == "cancelled"


@pytest.mark.parametrize("how", ["leave", "end", "beacon"])
async def test_hangup_against_answer(shared_server, how):
    async with pair(shared_server) as (ani, budi, room):
        for _ in range(ROUNDS):
            call = await start(ani, room, [budi])
            token = (await budi.post(f"{call}/join"))["leaveToken"]
            offered = (await offer(call, budi, ani))["id"]
            if how == "beacon":
                hangup = budi.http.post(
                    f"{call}/leave", content=f'{{"leaveToken":"{token}"}}', headers={"Content-Type": "text/plain"})
            else:
                hangup = budi.request("POST", f"{call}/{how}", {})
            body = {"to": budi.id, "type": "answer", "sdp": "v=0", "offer": offered}
            hung_up, answered = await at_once(hangup, ani.request("POST", f"{call}/signals", body))
            assert hung_up.status_code == 200, "ending always gets through"
            record = await outcome(call, ani, budi)
            assert record["state"] == "ended" and record["endedBy"] == budi.id
            assert hung_up.json() == record
            if answered.status_code == 202:
                assert record["endReason"] == "completed" and record["answeredAt"] is not None
            else:
                assert assert_refused(answered, "call-ended", call)["call"] == record
                assert record["endReason"] == "cancelled" and record["answeredAt"] is None


async def test_both_offer_at_once(shared_server):
    async with pair(shared_server) as (ani, budi, room):
        polite, impolite = sorted((ani, budi), key=lambda side: side.id)
        for _ in range(ROUNDS):
            call = await start(ani, room)
            await budi.post(f"{call}/join")

            def offered(side, to):
                return side.request("POST", f"{call}/signals", {"to": to.id, "type": "offer", "sdp": "v=0"})

            yielding, winning = await at_once(offered(polite, impolite), offered(impolite, polite))
            assert winning.status_code == 202, winning.text
            pending = winning.json()["id"]
            seen = {
                side: [event["data"] for event in await side.log(f"{call}/events") if event["type"] == "signal"]
                for side in (polite, impolite)}
            if yielding.status_code == 202:
                for side in (polite, impolite):
                    assert [signal["offer"] for signal in seen[side] if signal["type"] == "superseded"] == [
                        yielding.json()["id"]]
            else:
                assert assert_refused(yielding, "glare", call)["offer"] == pending
                assert not any(signal["type"] == "superseded" for signal in seen[polite] + seen[impolite])
            # Whichever came first: there is one offer to answer, and it is the impolite side's.
            assert [signal["id"] for signal in seen[polite] if signal["type"] == "offer"] == [pending]
            await answer(call, polite, impolite, pending)
            await ani.post(f"{call}/end")
            assert (await outcome(call, ani, budi))["endReason"] == "completed"


async def test_both_call_at_once(shared_server):
    async with pair(shared_server) as (ani, budi, room):
        for _ in range(ROUNDS):
            answers = await at_once(*(
                caller.request("POST", f"/v1/rooms/{room}/calls", MEDIA | {"invite": [callee.id]})
                for caller, callee in ((ani, budi), (budi, ani))))
            assert sorted(answer.status_code for answer in answers) == [201, 409], [a.text for a in answers]
            made = next(answer for answer in answers if answer.status_code == 201).json()["call"]
            refused = next(answer for answer in answers if answer.status_code == 409)
            call = f"/v1/calls/{made['id']}"
            assert_refused(refused, "call-glare", call)
            caller, callee = (ani, budi) if made["initiator"] == ani.id else (budi, ani)
            live = await ani.get(f"/v1/rooms/{room}/calls", params={"state": "ringing"})
            assert [other["id"] for other in live["items"]] == [made["id"]], "there is one call"
            await callee.post(f"{call}/join")
            await answer(call, caller, callee, (await offer(call, callee, caller))["id"])
            await caller.post(f"{call}/leave")
            assert (await outcome(call, ani, budi))["endReason"] == "completed"


async def test_join_against_end(shared_server):
    async with pair(shared_server) as (ani, budi, room):
        for _ in range(ROUNDS):
            call = await start(ani, room, [budi])
            joined, ended = await at_once(
                budi.request("POST", f"{call}/join", {}), ani.request("POST", f"{call}/end", {}))
            assert ended.status_code == 200
            record = await outcome(call, ani, budi)
            assert record["endReason"] == "cancelled" and record["endedBy"] == ani.id
            assert ended.json() == record
            callee = record["participants"][1]
            if joined.status_code == 200:
                assert callee["state"] == "left" and callee["joinedAt"] is not None
            else:
                assert assert_refused(joined, "call-ended", call)["call"] == record
                assert callee["state"] == "invited" and callee["joinedAt"] is None


async def test_reject_against_ring_timeout(shared_server):
    """All rounds side by side, as a ring lasts 10 s at least; each rejects at another moment around its end."""

    async def round_(number: int) -> str:
        async with pair(shared_server) as (ani, budi, room):
            call = await start(ani, room, [budi], seconds=10)
            # The clock is looked at twice a second: within that the two meet.
            await asyncio.sleep(9.7 + 1.6 * number / (ROUNDS - 1))
            rejected = await budi.request("POST", f"{call}/reject", {})
            record = await outcome(call, ani, budi)
            assert record["state"] == "ended"
            if rejected.status_code == 200:
                assert record["endReason"] == "rejected" and record["endedBy"] == budi.id
                assert rejected.json() == record
            else:
                assert assert_refused(rejected, "call-ended", call)["call"] == record
                assert record["endReason"] == "missed" and record["endedBy"] is None
            return record["endReason"]

    reasons = await asyncio.gather(*(round_(number) for number in range(ROUNDS)))
    assert set(reasons) == {"missed", "rejected"}, "the moments are around the end"


async def test_two_end_at_once(shared_server):
    async with pair(shared_server) as (ani, budi, room):
        for _ in range(ROUNDS):
            call = await active(ani, budi, room)
            answers = await at_once(
                ani.request("POST", f"{call}/end", {"reason": "enough"}), budi.request("POST", f"{call}/leave", {}))
            assert [answer.status_code for answer in answers] == [200, 200]
            record = await outcome(call, ani, budi)
            assert record["endReason"] == "completed" and record["endedBy"] in (ani.id, budi.id)
            assert answers[0].json() == answers[1].json() == record


async def test_hangup_is_not_queued_behind_a_flood_of_candidates(shared_server):
    async with pair(shared_server) as (ani, budi, room):
        call = await active(ani, budi, room)
        others: list[Client] = [budi.with_device(f"other-{number}") for number in range(4)]
        batch = {"to": ani.id, "type": "candidates", "candidates": [{"candidate": "candidate:1", "sdpMid": "0"}] * 10}
        stopping, answered = False, 0

        async def flood(client: Client) -> None:
            nonlocal answered
            while not stopping:
                await client.request("POST", f"{call}/signals", batch)
                answered += 1

        floods = [asyncio.ensure_future(flood(client)) for client in [budi, *others] for _ in range(4)]
        await until(lambda: answered > 100, "the flood runs")
        loop = asyncio.get_running_loop()
        began = loop.time()
        record = await ani.post(f"{call}/leave")
        seconds = loop.time() - began
        stopping = True
        await asyncio.gather(*floods)
        assert record["endReason"] == "completed" and seconds < 2, seconds
        assert (await outcome(call, ani, budi)) == record
