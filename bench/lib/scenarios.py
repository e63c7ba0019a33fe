"""What is measured, and what is claimed of it (the numbers of issue 3, "Faster than nchan", are in `claims`)."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """A peer in a scenario, perhaps by another wire, with other settings, or driven by `comblang load-test`."""

    peer: str
    wire: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    suffix: str = ""
    by_load_test: bool = False

    @property
    def name(self) -> str:
        return self.peer + self.suffix


@dataclass(frozen=True)
class Claim:
    """`figure` of `contender` is at most (or at least) `factor` times that of `base`; without a base, at most `factor`."""

    contender: str
    figure: str
    relation: str
    factor: float
    base: str = "nchan"

    def __str__(self) -> str:
        bound = f"{self.factor:g} × {self.base}" if self.base else f"{self.factor:g}"
        return f"{self.contender}: {self.figure} {self.relation} {bound}"


@dataclass(frozen=True)
class Scenario:
    """One comparison; the generator's plan, but for what a peer adds."""

    name: str
    title: str
    mode: str
    contenders: tuple[Contender, ...]
    claims: tuple[Claim, ...] = ()
    wire: str = "sse"
    subscribers: int = 0
    rooms: int = 1
    window: int = 32
    rate: float = 0
    messages: int = 0
    warm_up: int = 20
    seconds: float = 5
    size: int = 200
    is_reading: bool = False
    figures: tuple[str, ...] = field(default=())

    @property
    def gather_us(self) -> int:
        """At full rate readers let events gather, to leave the processors to the server."""
        return 20000 if self.mode in ("fanout", "poll") and self.rate == 0 else 0


STREAM_FIGURES = (
    "perSecond", "serverMicrosecondsEach", "latencyMs.p50", "latencyMs.p99", "requestMs.p99", "clientMicrosecondsEach")
REQUEST_FIGURES = ("perSecond", "serverMicrosecondsEach", "requestMs.p50", "requestMs.p99", "clientMicrosecondsEach")
STORM_FIGURES = ("seconds", "perSecond", "serverMicrosecondsEach", "catchUpMs.p50", "catchUpMs.p99")
IDLE_FIGURES = ("serverKiBPerStream", "serverCPUs", "serverMemoryKiB")

COMBLANG, NCHAN = Contender("comblang"), Contender("nchan")
CLOOPS = (Contender("cloop"), Contender("cloop-coalescing"))
BY_LOAD_TEST = Contender("comblang", suffix="-by-load-test", by_load_test=True)
ON_DISK = Contender("comblang", suffix="-from-disk", settings=(("COMBLANG_RECENT_EVENTS", "16"),))


def faster(factor: float, contender: str = "comblang", base: str = "nchan") -> Claim:
    return Claim(contender, "perSecond", ">=", factor, base)


def cheaper(factor: float, contender: str = "comblang", base: str = "nchan") -> Claim:
    return Claim(contender, "serverMicrosecondsEach", "<=", factor, base)


def quicker(factor: float, share: str, contender: str = "comblang", base: str = "nchan") -> Claim:
    return Claim(contender, f"latencyMs.{share}", "<=", factor, base)


def websocket_claims(paced: bool) -> tuple[Claim, ...]:
    """Within 10 % of SSE in every figure."""
    names = ("comblang-websocket", "comblang")
    if paced:
        return (cheaper(1.1, *names), quicker(1.1, "p50", *names), quicker(1.1, "p99", *names))
    return (faster(0.9, *names), cheaper(1.1, *names))


WEBSOCKETS = (COMBLANG, Contender("comblang", "websocket", suffix="-websocket"),
              Contender("nchan", "websocket", suffix="-websocket"))
PACED = (cheaper(0.8), quicker(1, "p50"), quicker(1, "p99"))

SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario(
        "fanout-1k", "SSE at full rate, 1 000 subscribers", "fanout", (COMBLANG, NCHAN, *CLOOPS, BY_LOAD_TEST),
        (faster(4), cheaper(0.25)), subscribers=1000, messages=2000, warm_up=50, figures=STREAM_FIGURES),
    Scenario(
        "fanout-5k", "SSE at full rate, 5 000 subscribers", "fanout", (COMBLANG, NCHAN, *CLOOPS),
        (faster(4), cheaper(0.25)), subscribers=5000, messages=400, warm_up=10, figures=STREAM_FIGURES),
    Scenario(
        "paced-1k", "SSE, 1 000 subscribers, 50 messages/s", "fanout", (COMBLANG, NCHAN, CLOOPS[0], BY_LOAD_TEST), PACED,
        subscribers=1000, rate=50, messages=500, figures=STREAM_FIGURES),
    Scenario(
        "paced-5k", "SSE, 5 000 subscribers, 10 messages/s", "fanout", (COMBLANG, NCHAN, CLOOPS[0]), PACED,
        subscribers=5000, rate=10, messages=100, warm_up=5, figures=STREAM_FIGURES),
    Scenario(
        "rooms-100x10", "SSE at full rate, 100 rooms of 10 subscribers", "fanout", (COMBLANG, NCHAN, CLOOPS[0]), (faster(1.5),),
        subscribers=1000, rooms=100, messages=40_000, warm_up=500, figures=STREAM_FIGURES),
    Scenario(
        "poll-paced", "Long-poll, 500 clients, 20 messages/s", "poll", (COMBLANG, NCHAN, CLOOPS[0]),
        (cheaper(1.5), quicker(1.5, "p99")), subscribers=500, rate=20, messages=200, warm_up=5, figures=STREAM_FIGURES),
    Scenario(
        "poll-full", "Long-poll at full rate, 500 clients", "poll", (COMBLANG, NCHAN), (faster(4),), subscribers=500,
        messages=2000, figures=STREAM_FIGURES),
    Scenario(
        "websocket-full", "WebSocket at full rate, 1 000 subscribers", "fanout", WEBSOCKETS, websocket_claims(False),
        subscribers=1000, messages=2000, warm_up=50, figures=STREAM_FIGURES),
    Scenario(
        "websocket-paced", "WebSocket, 1 000 subscribers, 50 messages/s", "fanout", WEBSOCKETS, websocket_claims(True),
        subscribers=1000, rate=50, messages=500, figures=STREAM_FIGURES),
    Scenario(
        "idle-10k", "10 000 silent streams for 20 s (a heartbeat included)", "idle", (COMBLANG, NCHAN),
        (Claim("comblang", "serverKiBPerStream", "<=", 16, ""), Claim("comblang", "serverCPUs", "<=", 0.02, "")),
        subscribers=10_000, seconds=20, figures=IDLE_FIGURES),
    Scenario(
        "storm", "1 000 clients resume 100 events each, all at once", "storm", (COMBLANG, ON_DISK, NCHAN),
        (Claim("comblang", "seconds", "<=", 1), Claim("comblang-from-disk", "seconds", "<=", 1.5)), subscribers=1000,
        messages=100, window=8, figures=STORM_FIGURES),
    Scenario(
        "post-64", "Posts over 64 connections to 64 rooms that nobody listens to", "requests",
        (COMBLANG, NCHAN, Contender("node")), (faster(1, base="node"), faster(0.28)), rooms=64, window=64, warm_up=2000,
        figures=REQUEST_FIGURES),
    Scenario(
        "get-64", "Pages of 50 messages over 64 connections (nchan: an empty answer)", "requests", (COMBLANG, NCHAN),
        window=64, warm_up=2000, is_reading=True, figures=REQUEST_FIGURES),
)}
