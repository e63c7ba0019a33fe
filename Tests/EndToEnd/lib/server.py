"""The built binary as a process: started, asked, killed and started again on the same port and data directory."""

import asyncio
import atexit
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx

from . import exchanges
from .tap import recorded

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("COMBLANG_BINARY", ROOT / ".build/release/comblang"))
START_SECONDS_MAX = 30.0
EXIT_SECONDS_MAX = 15.0

_running: set[subprocess.Popen] = set()


@atexit.register
def _leave_no_process_behind() -> None:
    for process in list(_running):
        process.kill()
        process.wait()


def wait_until(condition, what: str, seconds: float = 10.0):
    """Asks `condition` until it gives something truthy, and returns that; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


async def until(condition, what: str, seconds: float = 10.0):
    """`wait_until` for tests with an event loop; `condition` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


def environment(**settings) -> dict[str, str]:
    """The test's environment without its own COMBLANG_ variables, and `settings` as such (`heartbeat_seconds=1`)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COMBLANG_")}
    return clean | {f"COMBLANG_{name.upper()}": str(value) for name, value in settings.items()}


def comblang(*arguments: str, timeout: float = 30, **settings) -> subprocess.CompletedProcess:
    """Runs a command of the CLI to its end; what it says to a server of the tests is written down."""
    return subprocess.run(
        [BINARY, *(recorded(str(argument)) for argument in arguments)],
        env=environment(**settings), capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL)


def assert_one_line_error(result: subprocess.CompletedProcess, *words: str) -> None:
    """One line on stderr that says what is wrong, no stack trace, nothing on stdout, and a failure's exit code."""
    lines = [line for line in result.stderr.strip().splitlines() if line.strip()]
    assert result.returncode not in (0, None) and result.returncode > 0, (result.returncode, result.stderr)
    assert len(lines) == 1, f"not one line:\n{result.stderr}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"
    for trace in ("Fatal error", "Swift/", "Backtrace", "StoreError(", "NIOCore", "IOError", "Optional("):
        assert trace not in lines[0], lines[0]


class Server:
    """`comblang serve` on a free port of 127.0.0.1, with its own data directory and log.

    The port is chosen by the server on its first start and kept by every later one. Requests are not limited unless a
    test says so.
    """

    def __init__(self, directory: Path, **settings):
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.settings = settings
        # A command that becomes the server.
        self.wrapper: list[str] = []
        self.port = 0
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def recorded_url(self) -> str:
        """For programs and browsers: what they say is written down."""
        return recorded(self.url)

    @property
    def scheme(self) -> str:
        return "https" if "tls_certificate" in self.settings else "http"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    @property
    def admin_token(self) -> str:
        return (self.data / "admin-token").read_text().strip()

    def spawn(self) -> None:
        """Starts the process and does not wait."""
        assert BINARY.exists(), f"{BINARY} is not there: swift build -c release"
        assert self.process is None or self.process.poll() is not None, "the server is running already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, BINARY, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--data-dir",
                 str(self.data)],
                env=environment(**({"rate_limits": "false"} | self.settings)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        _running.add(self.process)

    def _listening(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server exited with {self.process.returncode}:\n{self.output()}")
        announced = re.search(r"listening on https?://127\.0\.0\.1:(\d+)", self.output())
        if announced is None:
            return False
        self.port = int(announced[1])
        exchanges.serves(self.port)
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def start(self) -> "Server":
        """Starts it and returns when `/readyz` says that it takes traffic."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        wait_until(self._listening, f"the server is ready, log {self.log}", START_SECONDS_MAX)

    async def restart_after_kill(self) -> None:
        """`kill -9`, then a new process at once."""
        self.kill()
        self.spawn()
        await asyncio.to_thread(self.wait_ready)

    def output(self) -> str:
        """What the present process has written to stdout and stderr."""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed by the process."""
        self.process.kill()
        self._reap(5)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM; returns the exit code. Fails when it takes longer than the 15 s of the contract."""
        self.terminate()
        return self._reap(EXIT_SECONDS_MAX)

    def _reap(self, seconds: float) -> int:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not exit within {seconds} s:\n{self.output()[-4000:]}") from None
        finally:
            _running.discard(self.process)
            exchanges.serves_no_more(self.port)
        return code

    def discard(self) -> None:
        """Ends the process however it is; for fixtures."""
        # Also of one that ended by itself: the port may be somebody else's next.
        exchanges.serves_no_more(self.port)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self._reap(5)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def resident_bytes(self) -> int:
        """The process's resident set."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def open_sockets(self) -> int:
        """How many sockets the process holds, listening ones and its event loops' own included."""
        count = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                count += os.readlink(entry).startswith("socket:")
            except FileNotFoundError:
                continue  # Closed between listing and reading.
        return count
