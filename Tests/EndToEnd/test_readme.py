"""The call with curl alone, as the README tells it: every block runs as pasted, one shell for all of them."""

import os
import re
import subprocess

import pytest

from lib.server import ROOT, Server, environment, wait_until

README = ROOT / "README.md"
HEADING = re.compile(r"^#+ .*curl", re.IGNORECASE | re.MULTILINE)


def curl_blocks() -> list[str]:
    """The ```bash blocks of the README's section on curl, in order."""
    text = README.read_text()
    heading = HEADING.search(text)
    assert heading is not None, "README.md has no heading that names curl"
    level = re.match(r"#+", heading[0])[0]
    rest = text[heading.end():]
    end = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    return re.findall(r"^```bash\n(.*?)^```", rest[: end.start()] if end else rest, re.MULTILINE | re.DOTALL)
