"""The call with curl alone, as the README tells it: every block runs as pasted, all of them in one shell."""

import json
import re
import subprocess

from lib.server import ROOT, Server, environment

README = ROOT / "README.md"
HEADING = re.compile(r"^#+ .*curl", re.IGNORECASE | re.MULTILINE)
MARK = "----- next block -----"


def curl_blocks() -> list[str]:
    """The ```bash blocks of the README's section on curl, in order."""
    text = README.read_text()
    heading = HEADING.search(text)
    assert heading is not None, "README.md has no heading that names curl"
    level = re.match(r"#+", heading[0])[0]
    rest = text[heading.end():]
    end = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    return re.findall(r"^```bash\n(.*?)^```", rest[: end.start()] if end else rest, re.MULTILINE | re.DOTALL)


def test_the_call_of_the_readme_works_when_pasted(server: Server, tmp_path):
    blocks = curl_blocks()
    assert len(blocks) >= 6, "the six phases are not all there"
    # Pasting goes on after a failure; here each block must end well.
    script = "".join(f"{block}\n[ $? -eq 0 ] || exit 1\necho '{MARK}'\n" for block in blocks)
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=tmp_path, env=environment() | {"URL": server.recorded_url},
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    story = f"{result.stdout}\n--- stderr\n{result.stderr}"
    outputs = result.stdout.split(MARK)
    assert result.returncode == 0 and len(outputs) == len(blocks) + 1, f"block {len(outputs)} failed:\n{story}"
    for word in ("/problems/", "curl: (", "jq: error", "null (null)", "command not found"):
        assert word not in story, f"{word!r} in:\n{story}"
    record = json.loads(outputs[-2])
    assert record["state"] == "ended" and record["endReason"] == "completed", record
    assert record["answeredAt"] and record["connectedAt"] and record["durationSeconds"] is not None
    assert "join_call" in result.stdout, "the invitation was not seen"


def test_links_of_the_readme_lead_somewhere():
    missing = [
        target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text())
        if not target.startswith("http") and not (ROOT / target).exists()]
    assert not missing, missing
