#!/usr/bin/env python3
"""A report of calls for a spreadsheet: one line a call, and one a day.

    COMBLANG_TOKEN=$(cat data/admin-token) examples/call_report.py --since 2026-11-01 --calls calls.csv --days days.csv

It reads `GET /v1/admin/calls/export` line by line, so that a million calls need no more memory than ten, and writes CSV
that spreadsheets open as it is (UTF-8 with a mark, times they understand). COMBLANG_TOKEN is an admin's. Dates are in
UTC unless `--utc-offset +07:00` says where the day begins. Python's standard library is all it needs.
"""

import argparse
import collections
import csv
import datetime
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

CALL_COLUMNS = [
    "begun", "room", "initiator", "participants", "state", "ended as", "rang for (s)", "lasted (s)", "set up in (ms)",
    "wires", "call",
]
DAY_COLUMNS = ["day", "calls", "answered", "answered (%)", "missed", "failed or lost", "minutes", "longest (s)"]


def local(text: str | None, zone: datetime.timezone) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(zone)


def seconds(start: datetime.datetime | None, end: datetime.datetime | None) -> str:
    return "" if start is None or end is None else f"{(end - start).total_seconds():.0f}"


def plain(text: str) -> str:
    """A name that begins like a formula must not be one in a spreadsheet."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


class Day:
    """What is counted of one day."""

    def __init__(self):
        self.calls = self.answered = self.missed = self.broken = self.total_seconds = self.longest = 0

    def count(self, call: dict) -> None:
        self.calls += 1
        self.answered += call["answeredAt"] is not None
        self.missed += call["endReason"] in ("missed", "busy")
        self.broken += call["endReason"] in ("failed", "lost")
        duration = call["durationSeconds"] or 0
        self.total_seconds += duration
        self.longest = max(self.longest, duration)

    def row(self, day: str) -> list:
        rate = 100 * self.answered / self.calls
        return [day, self.calls, self.answered, f"{rate:.0f}", self.missed, self.broken,
                f"{self.total_seconds / 60:.1f}", self.longest]


def call_row(call: dict, zone: datetime.timezone) -> list:
    begun = local(call["createdAt"], zone)
    answered, ended = local(call["answeredAt"], zone), local(call["endedAt"], zone)
    names = {one["user"]: one["displayName"] or one["username"] or "?" for one in call["participants"]}
    wires = {one["transport"] for one in call["participants"] if one["transport"]}
    return [
        begun.strftime("%Y-%m-%d %H:%M:%S"), call["room"], plain(names.get(call["initiator"], "?")),
        plain(", ".join(names.values())), call["state"], call["endReason"] or "", seconds(begun, answered or ended),
        "" if call["durationSeconds"] is None else call["durationSeconds"], call.get("offerToConnectedMs") or "",
        " ".join(sorted(wires)), call["id"],
    ]


def export(url: str, token: str, query: dict):
    """The records, one after the other. A transfer that is cut short raises: half a report is none."""
    address = f"{url.rstrip('/')}/v1/admin/calls/export?{urllib.parse.urlencode(query | {'format': 'ndjson'})}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            if line.strip():
                yield json.loads(line)


def report(records, calls_path: str, days_path: str, zone: datetime.timezone) -> int:
    days: dict[str, Day] = collections.defaultdict(Day)
    # The mark at the beginning tells spreadsheets that it is UTF-8.
    with open(calls_path, "w", newline="", encoding="utf-8-sig") as file:
        lines = csv.writer(file)
        lines.writerow(CALL_COLUMNS)
        for call in records:
            lines.writerow(call_row(call, zone))
            days[local(call["createdAt"], zone).strftime("%Y-%m-%d")].count(call)
    with open(days_path, "w", newline="", encoding="utf-8-sig") as file:
        lines = csv.writer(file)
        lines.writerow(DAY_COLUMNS)
        lines.writerows(days[day].row(day) for day in sorted(days))
    return sum(day.calls for day in days.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="A report of calls for a spreadsheet.")
    parser.add_argument("--url", default=os.environ.get("URL", "http://127.0.0.1:8080"))
    parser.add_argument("--since", help="2026-11-01, or a time as RFC 3339")
    parser.add_argument("--until")
    parser.add_argument("--room", help="id or name")
    parser.add_argument("--calls", default="calls.csv", help="where to write one line a call")
    parser.add_argument("--days", default="days.csv", help="where to write one line a day")
    parser.add_argument("--utc-offset", default="+00:00", metavar="+07:00")
    arguments = parser.parse_args()
    token = os.environ.get("COMBLANG_TOKEN") or sys.exit("COMBLANG_TOKEN is missing: an admin's token")
    zone = datetime.datetime.strptime(arguments.utc_offset, "%z").tzinfo

    def moment(text: str) -> str:
        given = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z")

    query = {name: moment(value) for name in ("since", "until") if (value := getattr(arguments, name))}
    if arguments.room:
        query["room"] = arguments.room
    try:
        count = report(export(arguments.url, token, query), arguments.calls, arguments.days, zone)
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read(2000).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"no answer: {error}")
    print(f"{count} calls in {arguments.calls}, by day in {arguments.days}")


if __name__ == "__main__":
    main()
