"""Debian's coturn as a process on a free port of 127.0.0.1, with a secret that it shares with Comblang."""

import contextlib
import os
import signal
import selectors
import socket
import struct
import subprocess
import threading
from pathlib import Path

from .server import wait_until

SECRET = "0123456789abcdef0123456789abcdef"
BINDING = struct.pack("!HHI", 1, 0, 0x2112A442) + b"comblangtest"


def free_port() -> int:
    """A port that neither UDP nor TCP has at this moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


def answers_udp(port: int) -> bool:
    """Whether a STUN server answers a Binding request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        udp.connect(("127.0.0.1", port))
        try:
            udp.send(BINDING)
            return udp.recv(1500)[8:20] == BINDING[8:20]
        except OSError:
            return False


def answers_tcp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2) as tcp:
            tcp.settimeout(0.5)
            tcp.send(BINDING)
            return tcp.recv(1500)[8:20] == BINDING[8:20]
    except OSError:
        return False


class Relay:
    """coturn, ready when the block begins and gone when it ends.

    `options` are added to the command line; `auth` and `peers` are those that a test may want otherwise; `clock` is how
    wrong its clock is (`+2h`).
    """

    def __init__(self, directory: Path, *options: str, auth: tuple[str, ...] | None = None,
                 peers: tuple[str, ...] = ("--allow-loopback-peers",), port: int | None = None,
                 clock: str | None = None):
        self.log = directory / "coturn.log"
        self.port = port or free_port()
        auth = auth if auth is not None else ("--use-auth-secret", f"--static-auth-secret={SECRET}")
        self._command = [
            *(["faketime", "--exclude-monotonic", "-f", clock] if clock else []), "turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={self.port}",
            "--realm=example.test", "--fingerprint", "--no-dtls", "--no-cli", "--no-software-attribute", "--verbose",
            f"--pidfile={directory}/coturn.pid", f"--userdb={directory}/turndb", "--log-file=stdout", "--simple-log",
            *auth, *peers, *options]
        if not any(option.startswith("--cert") for option in options):
            self._command.append("--no-tls")

    def url(self, transport: str = "udp", scheme: str = "turn") -> str:
        return f"{scheme}:127.0.0.1:{self.port}" + (f"?transport={transport}" if scheme.startswith("turn") else "")

    def __enter__(self) -> "Relay":
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {"LANG": "C"})
        try:
            ready = answers_tcp if "--no-udp" in self._command else answers_udp
            wait_until(lambda: self._is_alive() and ready(self.port), f"coturn answers, log {self.log}", 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_alive(self) -> bool:
        assert self.process.poll() is None, f"coturn ended:\n{self.output()[-3000:]}"
        return True

    def __exit__(self, *_) -> None:
        # The whole group: faketime runs coturn as its child.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace")


class Filter:
    """A way to a UDP port of this machine on which those datagrams of clients get through for which `passes` is true;
    all of the answers do."""

    def __init__(self, port: int, passes):
        self._target, self._passes = ("127.0.0.1", port), passes
        self._selector = selectors.DefaultSelector()
        self._front = self._bound()
        self._ways: dict[tuple, socket.socket] = {}
        self._end, self._ending = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        return self._front.getsockname()[1]

    def _bound(self, client: tuple | None = None) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        self._selector.register(made, selectors.EVENT_READ, client)
        return made

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._end:
                    return
                data, sender = key.fileobj.recvfrom(65536)
                if key.data is not None:
                    self._front.sendto(data, key.data)
                elif self._passes(data):
                    if sender not in self._ways:
                        self._ways[sender] = self._bound(sender)
                    self._ways[sender].sendto(data, self._target)

    def __enter__(self) -> "Filter":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ending.send(b"x")
        self._thread.join()
        for used in (self._front, *self._ways.values(), self._end, self._ending, self._selector):
            used.close()
