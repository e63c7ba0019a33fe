"""What of the module needs no browser: its parts in Node, with a server that fails as told, and its types."""

import subprocess

import pytest

from lib.server import ROOT


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-6000:]
    return output


@pytest.mark.parametrize("file", ["test_module.mjs", "test_module_calls.mjs"])
def test_parts_that_need_no_browser_in_node(file):
    output = run("node", "--test", f"Tests/EndToEnd/{file}")
    assert "# fail 0" in output and "# pass 0" not in output, output[-2000:]


def test_types_as_a_typescript_program_sees_them():
    run("tsc", "-p", "clients/js")


def test_scripts_of_the_pages_parse():
    for script in sorted((ROOT / "Sources/CWeb").glob("*/*.js")):
        run("node", "--check", str(script))
