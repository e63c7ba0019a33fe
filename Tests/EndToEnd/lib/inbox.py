"""A reader in the background, whose events a test waits for."""

import asyncio
from collections.abc import Callable

from .contract import Contract
from .server import until
from .wires import Follower


class Inbox:
    """Follows the log by one wire for as long as the block lasts, reconnecting with its cursor whenever it ends.

        async with Inbox(follower, "sse") as inbox:
            event = await inbox.wait_for(lambda event: event["type"] == "message.created")
    """

    def __init__(self, follower: Follower, wire: str):
        self.follower = follower
        self.wire = wire
        self.events: list[dict] = []
        self._taken = 0
        follower.sink = self._receive

    def _receive(self, event: dict) -> None:
        Contract.shared().check_event(event)
        self.events.append(event)

    async def __aenter__(self) -> "Inbox":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for event in self.follower.control:
            Contract.shared().check_event(event)

    async def _run(self) -> None:
        while True:
            reason = await self.follower.follow(self.wire)
            assert not reason.startswith("refused"), f"{self.wire}: {reason}"

    async def wait_for(self, matches: Callable[[dict], bool], what: str = "an event", seconds: float = 20) -> dict:
        """The first event from where the last wait ended that `matches`; those before it are passed over."""

        def found() -> dict | None:
            if self._task.done():
                self._task.result()
            while self._taken < len(self.events):
                self._taken += 1
                if matches(self.events[self._taken - 1]):
                    return self.events[self._taken - 1]
            return None

        return await until(found, f"{what} by {self.wire}", seconds)
