"""The loss checker: the test's own list of what the server acknowledged, compared with what readers saw."""

from collections import Counter


def seq(cursor: str) -> int:
    """The place of an event in the log; only to compare, as a cursor is opaque."""
    return int(cursor.split(".")[1])


class Ledger:
    """What was acknowledged with a 2xx, in each writer's own order."""

    def __init__(self):
        self.content: dict[str, str] = {}
        self.by_writer: dict[str, list[str]] = {}

    def acknowledge(self, message: dict) -> None:
        """Takes a 201's body; a second answer for one message must be the same message."""
        known = self.content.setdefault(message["id"], message["content"])
        assert known == message["content"], f"{message['id']} was acknowledged with two contents"
        written = self.by_writer.setdefault(message["user"], [])
        if message["id"] not in written:
            written.append(message["id"])

    def __len__(self) -> int:
        return len(self.content)

    def check(self, seen: list[dict], where: str, exactly: bool = True) -> None:
        """`seen`: messages in the order of `where`. Each acknowledged one is there once, with its content, and each
        writer's are in the order in which they were acknowledged. `exactly`: nothing else is there either."""
        ids = [message["id"] for message in seen]
        twice = [id for id, count in Counter(ids).items() if count > 1]
        assert not twice, f"{where}: {len(twice)} messages twice, first {twice[:3]}"
        missing = [id for id in self.content if id not in set(ids)]
        assert not missing, f"{where}: {len(missing)} of {len(self)} acknowledged messages missing, first {missing[:3]}"
        if exactly:
            extra = set(ids) - set(self.content)
            assert not extra, f"{where}: {len(extra)} messages that nobody was told of, first {sorted(extra)[:3]}"
        for message in seen:
            expected = self.content.get(message["id"])
            assert expected in (None, message["content"]), f"{where}: {message['id']} has another content"
        place = {id: index for index, id in enumerate(ids)}
        for writer, written in self.by_writer.items():
            places = [place[id] for id in written]
            assert places == sorted(places), f"{where}: the messages of {writer} are not in the order of their answers"


class Sightings:
    """What one reader saw. Fails at once when an event comes twice or out of order."""

    def __init__(self, where: str):
        self.where = where
        self.events: list[dict] = []
        self.messages: list[dict] = []
        self._last = -1

    def see(self, event: dict) -> None:
        place = seq(event["id"])
        assert place > self._last, f"{self.where}: {event['id']} came after {self._last}: twice or out of order"
        self._last = place
        self.events.append(event)
        if event["type"] == "message.created":
            self.messages.append(event["data"])
