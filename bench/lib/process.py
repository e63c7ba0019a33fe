"""Processes under measurement: started on free ports, accounted by /proc, ended by their ids."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 20.0


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in tasks.read_text().split() if int(child) not in found]
            except OSError:
                continue
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of the processes so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """CPU time that the whole machine has spent on anything, steal included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def memory_kib(pids: list[int]) -> float:
    """Proportional set size, so that what processes share counts once."""
    total = 0.0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += float(line.split()[1])
    return total


class Process:
    """One server process with its log, waiting until it listens on its port."""

    def __init__(self, command: list[str], port: int, directory: Path, environment: dict[str, str] | None = None):
        self.directory = directory
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=directory,
            env=dict(os.environ, **(environment or {})))
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{command[0]} does not serve:\n{(directory / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    @property
    def pids(self) -> list[int]:
        return children(self.process.pid)

    def stop(self) -> None:
        """Ends it and its children; none of them is left."""
        pids = self.pids
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()
        self.log.close()
