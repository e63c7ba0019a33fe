#!/usr/bin/env python3
"""The last step of the end-to-end tests: every exchange that they wrote down is held against `openapi/openapi.yaml`.

    judge.py [--complete] [FILE.jsonl …]      without files: all of out/exchanges

Fails on any difference, with `--complete` also on any status of any operation, any problem and any type of event that
was never provoked.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from lib.contract import Contract
from lib.exchanges import FOLDER

# Of the same difference of the same operation.
SHOWN_MAX = 3


class Judgement:
    """What became of exchanges: how many there were, what was provoked, and all differences."""

    def __init__(self, contract: Contract):
        self.contract = contract
        self.exchanges = 0
        self.clients: Counter[str] = Counter()
        self.provoked: set[tuple[str, str]] = set()
        # By operation and what is different: how often, and where it was seen first.
        self.differences: Counter[tuple[str, str]] = Counter()
        self._seen: dict[tuple[str, str], list[str]] = defaultdict(list)

    def hear(self, exchanges: Iterable[dict]) -> "Judgement":
        for exchange in exchanges:
            self.exchanges += 1
            self.clients[exchange["client"]] += 1
            template, operation = self.contract.operation(exchange["method"], exchange["target"])
            name = operation["operationId"] if operation else f"{exchange['method']} {template or '(no path)'}"
            self.provoked |= self.contract.provoked(exchange)
            for difference in self.contract.differences(exchange):
                self._note((name, f"{exchange['status']}: {difference}"), exchange)
        return self

    def _note(self, difference: tuple[str, str], exchange: dict) -> None:
        self.differences[difference] += 1
        if len(self._seen[difference]) < SHOWN_MAX:
            self._seen[difference].append(f"{exchange['method']} {exchange['target'][:200]} in {exchange['test']}")

    @property
    def missing(self) -> list[str]:
        """What the contract promises and nobody provoked, as `operation status`, `problem slug` or `event type`."""
        return sorted(f"{name} {status}" for name, status in self.contract.promised() - self.provoked)

    def lines(self, is_complete: bool) -> list[str]:
        """For a person."""
        clients = ", ".join(f"{count} {client}" for client, count in self.clients.most_common())
        told = [
            f"{self.exchanges} exchanges ({clients}), {self._share('operation')} statuses of operations, {self._share('problem')} problems,"
            f" {self._share('event')} types of events"]
        for (name, difference), count in self.differences.items():
            told.append(f"DIFFERENCE {name} → {difference}, {count} times, as in:")
            told += [f"    {seen}" for seen in self._seen[name, difference]]
        if is_complete:
            told += [f"NEVER PROVOKED {one}" for one in self.missing]
        return told

    def _share(self, kind: str) -> str:
        """How much of what is promised was provoked."""
        promised = {
            one for one in self.contract.promised()
            if (one[0] if one[0] in ("problem", "event") else "operation") == kind}
        return f"{len(promised & self.provoked)} of {len(promised)}"

    def is_fine(self, is_complete: bool) -> bool:
        return self.exchanges > 0 and not self.differences and not (is_complete and self.missing)


def read(files: Iterable[Path]) -> Iterable[dict]:
    """The exchanges of files, in their order; without the last line of a run that was killed while it wrote."""
    for file in files:
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--complete", action="store_true", help="demand every status of every operation")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    files = arguments.files or sorted(FOLDER.glob("*.jsonl"))
    judgement = Judgement(Contract.shared()).hear(read(files))
    print("\n".join(judgement.lines(arguments.complete)))
    return 0 if judgement.is_fine(arguments.complete) else 1


if __name__ == "__main__":
    sys.exit(main())
