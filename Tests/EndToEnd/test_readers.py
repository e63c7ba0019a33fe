"""The readers and the loss checker themselves: a checker that cannot fail proves nothing."""

import random

import pytest

from lib.event_source import EventSourceParser, Frame
from lib.ledger import Ledger, Sightings

STREAM = (
    "\ufeff: a comment\n\n"
    "data: first\n\n"
    "data\n\n"
    "data:x\ndata: y\r\ndata:  z\r\r"
    "event: kind\nid: e.1\ndata: {\"a\":\"é𝄞\"}\nretry: 1500\n\n"
    "id: has\0nul\nevent: unused\n\n"
    "retry: 12x\nnothing\nunknown: field\ndata: last\n\n"
    "data: never finished\n"
).encode()
FRAMES = [
    Frame("message", "first", ""), Frame("message", "", ""), Frame("message", "x\ny\n z", ""),
    Frame("kind", '{"a":"é𝄞"}', "e.1"), Frame("message", "last", "e.1"),
]


def test_the_event_stream_parser_follows_the_standard_however_bytes_are_cut(seed):
    whole = EventSourceParser()
    assert whole.feed(STREAM) == FRAMES and whole.retry == 1500
    generator = random.Random(seed)
    for _ in range(200):
        parser, frames, rest = EventSourceParser(), [], STREAM
        while rest:
            size = generator.randint(1, 7)
            frames += parser.feed(rest[:size])
            rest = rest[size:]
        assert frames == FRAMES and parser.retry == 1500


def message(id: str, content: str = "x", user: str = "usr_a") -> dict:
    return {"id": id, "content": content, "user": user}


@pytest.mark.parametrize("seen, complaint", [
    (["m1"], "missing"), (["m1", "m2", "m2"], "twice"), (["m2", "m1"], "not in the order"),
    (["m1", "m2", "m3"], "nobody was told"),
])
def test_the_ledger_finds_losses_doubles_swaps_and_inventions(seen, complaint):
    ledger = Ledger()
    for id in ("m1", "m2"):
        ledger.acknowledge(message(id))
    ledger.check([message("m1"), message("m2")], "here")
    with pytest.raises(AssertionError, match=complaint):
        ledger.check([message(id) for id in seen], "here")
    with pytest.raises(AssertionError, match="another content"):
        ledger.check([message("m1"), message("m2", "y")], "here")


def test_sightings_fail_at_a_repeated_or_swapped_event():
    sightings = Sightings("here")
    sightings.see({"id": "e.9", "type": "x"})
    for id in ("e.9", "e.8"):
        with pytest.raises(AssertionError, match="out of order"):
            sightings.see({"id": id, "type": "x"})
