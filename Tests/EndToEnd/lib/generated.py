"""Clients that generators make of the served contract, by the very commands of docs/clients.md, compiled with one small
program each (`generated/`)."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from .server import ROOT

PROGRAMS = ROOT / "Tests/EndToEnd/generated"
# Not under Tests, where code is linted.
FOLDER = ROOT / ".build-generated/clients"
SWIFT_SCRATCH = ROOT / ".build-generated/swift"
# The clients by the folder that the documentation's commands make.
CLIENTS = ("python", "openapi-python-client", "ComblangClient", "typescript")


def documented(language: str) -> str:
    """The code of that language in the section "Generated clients" of docs/clients.md."""
    section = (ROOT / "docs/clients.md").read_text().split("\n# Generated clients\n")[1]
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


def make(url: str) -> Path:
    """The folder with all clients and programs, ready to run. Made anew when the served contract, a program, a command
    or a tool is another than last time: about a minute and a half on 2 cores, most of it for Swift's compiler."""
    contract = httpx.get(f"{url}/openapi.json", timeout=30, trust_env=False).raise_for_status().content
    made = FOLDER / "key.txt"
    key = _key(contract)
    if made.exists() and made.read_text() == key:
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    commands = documented("sh").replace("http://127.0.0.1:8080", url)
    _run("generation", "bash", "-euxc", commands)
    assert (FOLDER / "openapi.json").read_bytes() == contract
    for client in ("python", "openapi-python-client"):
        _run(client, sys.executable, "-m", "compileall", "-q", client)
    shutil.copy(PROGRAMS / "caller.ts", FOLDER / "typescript")
    _run("typescript", "tsc", "--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "node",
         "--lib", "es2022,dom", "--outDir", "javascript", "typescript/caller.ts", succeeds=False)
    (FOLDER / "javascript/package.json").write_text('{"type": "module"}\n')
    shutil.copytree(PROGRAMS / "swift", FOLDER / "caller")
    _run("swift", "swift", "build", "-c", "debug", "--package-path", "caller", "--scratch-path", str(SWIFT_SCRATCH))
    made.write_text(key)
    return FOLDER


def log(name: str) -> str:
    """What a step of making said."""
    return (FOLDER / f"{name}.log").read_text()


def program(kind: str, side: str) -> tuple[list, dict[str, str]]:
    """How one side of a call is run: the command, and what its environment has besides."""
    python = {"python": "openapi_generator_python.py", "openapi-python-client": "openapi_python_client.py"}
    match kind:
        case "curl": return [ROOT / "examples/call.sh", side], {}
        case "swift6": return [SWIFT_SCRATCH / "debug/caller", side], {}
        case "typescript-fetch": return ["node", FOLDER / "javascript/caller.js", side], {}
        case _: return [sys.executable, PROGRAMS / python[kind], side], {"PYTHONPATH": str(FOLDER / kind)}


def _run(name: str, *command: str, succeeds: bool = True) -> None:
    """`PATH` begins with where this Python is, as the generators come from PyPI."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_PROXY": "*"}
    with open(FOLDER / f"{name}.log", "wb") as output:
        result = subprocess.run(
            command, cwd=FOLDER, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    assert result.returncode == 0 or not succeeds, f"{name}: {log(name)[-6000:]}"


def _key(contract: bytes) -> str:
    digest = hashlib.sha256(contract + documented("sh").encode() + _versions())
    for path in sorted(path for path in PROGRAMS.rglob("*") if path.is_file()):
        digest.update(path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    digest.update((PROGRAMS.parent / "requirements.txt").read_bytes())
    return digest.hexdigest()


@functools.cache
def _versions() -> bytes:
    return b"".join(subprocess.run([*command], capture_output=True, check=True).stdout
                    for command in (("swift", "--version"), ("tsc", "--version"), ("node", "--version")))
