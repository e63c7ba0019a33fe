"""A reader that changes wires again and again, each torn at a random moment."""

import asyncio
import json
import random

import websockets

from .wires import WIRES, Cut, Follower

# By the library `websockets`, which has an opinion of its own on RFC 6455; it cannot be cut at a byte.
HOPS = (*WIRES, "websockets-library")


class Hops:
    """What became of each hop: `poll cut`, `sse closed`, … and how often. Others may wait for the reader."""

    def __init__(self):
        self.counts: dict[str, int] = {}
        self._changed = asyncio.Condition()

    async def add(self, how: str) -> None:
        async with self._changed:
            self.counts[how] = self.counts.get(how, 0) + 1
            self._changed.notify_all()

    async def reach(self, total: float) -> None:
        """Waits until the reader has hopped so often."""
        async with self._changed:
            await self._changed.wait_for(lambda: sum(self.counts.values()) >= total)

    def __str__(self) -> str:
        return f"{sum(self.counts.values())} hops: {json.dumps(self.counts, indent=1)}"


async def follow_by_library(follower: Follower, seconds: float) -> str:
    """Like `Follower.follow`, with `websockets`; torn off after `seconds`."""
    query = "&".join(f"{name}={value}" for name, value in (follower.query | {"after": follower.cursor}).items())
    uri = f"ws://127.0.0.1:{follower.port}/v1/ws?{query}"
    connecting = websockets.connect(
        uri, additional_headers={"Authorization": f"Bearer {follower.token}"}, proxy=None, close_timeout=2)
    try:
        async with asyncio.timeout(seconds), connecting as socket:
            async for text in socket:
                if reason := follower.take(json.loads(text)):
                    return reason
            return "closed"
    except TimeoutError:
        return "cut"
    except websockets.InvalidStatus as refusal:
        return f"refused:{refusal.response.status_code}"


async def hop(follower: Follower, generator: random.Random, hops: Hops) -> None:
    """Changes wires for as long as it is let."""
    bag: list[str] = []
    while True:
        # From a bag that is filled again when it is empty, so that each wire comes as often.
        bag = bag or generator.sample(HOPS, len(HOPS))
        wire = bag.pop()
        cut = Cut.at_random(generator)
        follower.limit = generator.choice((1, 7, 100, 1000))
        follower.wait = generator.choice((0, 1, 25))
        if wire == "websockets-library":
            reason = await follow_by_library(follower, cut.seconds)
        else:
            reason = await follower.follow(wire, cut)
        await hops.add(f"{wire} {reason}")
        # A stream that was torn may count for a moment: the limit answers by its rule, and the reader comes again.
        if reason.startswith("refused"):
            assert reason == "refused:429", reason
            await asyncio.sleep(0.05)
