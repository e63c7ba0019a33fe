"""Fixtures: a server of one's own, its seed, and how much is run."""

import asyncio
import os
import random
import resource
import signal
import time

import pytest

import judge
from lib import exchanges, tap
from lib.client import Client
from lib.contract import Contract
from lib.raw_http import assert_answers_others, settled_sockets
from lib.server import Server, wait_until

# 1 is the size for CI; more multiplies seeds, rounds and messages.
SCALE = float(os.environ.get("SCALE", "1"))


def pytest_configure(config) -> None:
    # A shell's background jobs ignore it, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The slow reader test holds 1 000 connections, and each test process may.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    if not config.option.collectonly:
        exchanges.begin(f"{time.time():.0f}-{os.getpid()}")


def pytest_terminal_summary(terminalreporter) -> None:
    """Every exchange of this run is held against the contract; whether all of it was provoked, `judge.py` asks."""
    tap.end()
    file = exchanges.end()
    if file is None:
        return
    judgement = judge.Judgement(Contract.shared()).hear(judge.read([file]))
    terminalreporter.section("contract")
    terminalreporter.write_line("\n".join(judgement.lines(is_complete=False)))
    if judgement.differences:
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(240 * max(1, SCALE)))


def pytest_report_header(config) -> str:
    return f"comblang: SCALE={SCALE:g} SEED={os.environ.get('SEED', 'random')}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def seed() -> int:
    """This test's seed: from SEED, else fresh; printed with a failure."""
    given = os.environ.get("SEED")
    value = int(given) if given else random.SystemRandom().randrange(1 << 32)
    print(f"SEED={value}")
    return value


@pytest.fixture
def server_factory(tmp_path):
    """Makes servers with settings of their own; all of them are gone after the test."""
    made: list[Server] = []

    def make(**settings) -> Server:
        server = Server(tmp_path / f"server-{len(made)}", **settings)
        made.append(server)
        return server

    yield make
    for server in made:
        server.discard()


@pytest.fixture
def server(server_factory) -> Server:
    """A started server with default settings."""
    return server_factory().start()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.discard()


@pytest.fixture
def shared_server(module_server: Server) -> Server:
    """One server for all tests of a module that use rooms of their own; started again when a test has brought it
    down, so that one crash is one failure."""
    return module_server if module_server.is_running() else module_server.start()


@pytest.fixture
def member(server: Server):
    """A user in a room, as (headers, room id)."""

    async def prepare():
        async with await Client.sign_up(server, "member") as client:
            return client.headers() | {"Content-Type": "application/json"}, (await client.create_room())["id"]

    return asyncio.run(prepare())


@pytest.fixture
def harmless(server: Server):
    """Afterwards the server is the same process, answers others, and holds no more sockets than before."""
    pid, sockets = server.pid, settled_sockets(server)
    yield
    assert server.is_running() and server.pid == pid, server.output()[-4000:]
    assert_answers_others(server)
    wait_until(lambda: server.open_sockets() <= sockets, f"no socket is left behind ({sockets} before)", 20)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of each server's log."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for log in sorted(item.funcargs["tmp_path"].glob("*/server.log") if "tmp_path" in item.funcargs else []):
            report.sections.append((str(log), log.read_text(errors="replace")[-4000:]))
