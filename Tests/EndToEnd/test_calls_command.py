"""`comblang calls`: what an admin sees in a terminal and what a script gets."""

import csv
import io
import json
import os
import pty
import subprocess

from lib import calls
from lib.client import Client
from lib.server import BINARY, assert_one_line_error, comblang, environment


def run(server, *arguments: str, ok: bool = True) -> str:
    result = comblang("calls", *arguments, "--url", server.url, data_dir=server.data)
    assert (result.returncode == 0) == ok, (arguments, result.stderr)
    return result.stdout if ok else result.stderr


async def some_calls(server) -> tuple[str, str]:
    """A call that was declined and one that never connected; their ids."""
    async with calls.pair(server) as (ani, budi, room):
        declined = await calls.start(ani, room, [budi])
        await budi.post(f"{declined}/reject", {"reason": "rapat"})
        silent = await calls.active(ani, budi, room)
        # Both read, as what nobody reads would be another reason to fail, once the server's clock has noticed it.
        for side in (ani, budi):
            assert "signal" in {event["type"] for event in await side.log(f"{silent}/events")}
        await ani.post(f"{silent}/leave")
    return declined.rsplit("/", 1)[1], silent.rsplit("/", 1)[1]


async def test_list_show_export_and_stats(server, tmp_path):
    declined, silent = await some_calls(server)
    table = run(server, "list").splitlines()
    assert table[0].split()[:2] == ["CALL", "MADE"] and len(table) == 3
    assert table[1].startswith(silent) and "completed" in table[1] and "@ani" in table[1] and "@budi" in table[1]
    assert run(server, "list", "--end-reason", "rejected", "--since", "1h").splitlines()[1].startswith(declined)
    assert [json.loads(line)["id"] for line in run(server, "list", "--json", "--limit", "1").splitlines()] == [silent]

    shown = run(server, "show", silent)
    assert "WHY IT FAILED" in shown and "(no-candidates)" in shown and "What to do:" in shown
    for word in ("LEG OF", "AFTER", "offer", "answer", "+0.000 s"):
        assert word in shown, shown
    assert json.loads(run(server, "show", declined, "--json"))["diagnosis"]["code"] == "declined"

    rows = list(csv.DictReader(io.StringIO(run(server, "export"))))
    assert [row["id"] for row in rows] == [silent, declined]
    target = tmp_path / "calls.ndjson"
    run(server, "export", "--format", "ndjson", "--end-reason", "rejected", "--output", str(target))
    assert json.loads(target.read_text())["id"] == declined
    assert [path.name for path in tmp_path.glob("calls*")] == ["calls.ndjson"], "a partial file was left"

    stats = run(server, "stats", "--bucket", "hour", "--group-by", "endReason")
    assert "completed" in stats and "rejected" in stats and "50.0 %" in stats
    assert json.loads(run(server, "stats", "--json"))["total"]["calls"] == 2


async def test_refusals_are_one_line(server):
    for arguments in [("show", "call_00000000000000000000000000"), ("list", "--user", "nobody"),
                      ("list", "--since", "yesterday"), ("export", "--format", "xml"), ("stats", "--bucket", "year"),
                      ("export", "--output", "/nowhere/calls.csv")]:
        assert_one_line_error(comblang("calls", *arguments, "--url", server.url, data_dir=server.data))
    async with await Client.sign_up(server, "guest") as guest:
        result = comblang("calls", "list", "--url", server.url, token=guest.token)
        assert_one_line_error(result, "403")


async def test_a_broken_transfer_leaves_no_file(server, tmp_path):
    server.kill()
    target = tmp_path / "calls.csv"
    assert_one_line_error(
        comblang("calls", "export", "--url", server.url, "--output", str(target), data_dir=server.data))
    assert not list(tmp_path.glob("calls*"))


async def test_progress_goes_to_a_terminal_only(server, tmp_path):
    await some_calls(server)
    outside, inside = pty.openpty()
    exported = subprocess.run(
        [BINARY, "calls", "export", "--url", server.recorded_url], env=environment(data_dir=server.data), stderr=inside,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30)
    os.close(inside)
    os.close(outside)
    assert exported.returncode == 0 and exported.stdout.count(b"\r\n") == 3
    piped = comblang("calls", "export", "--url", server.url, data_dir=server.data)
    assert piped.stderr == ""
