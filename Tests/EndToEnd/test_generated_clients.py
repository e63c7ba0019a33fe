"""Clients that nobody here wrote: generated from the served contract, compiled, and calling each other and curl."""

import contextlib
import itertools
import json
import os
import re
import secrets
import signal
import subprocess

import pytest

from lib import generated
from lib.client import Client
from lib.contract import Contract
from lib.later_server import LaterServer
from lib.server import environment, wait_until

KINDS = ("curl", "python", "openapi-python-client", "swift6", "typescript-fetch")
# The Python clients refuse a value that their enum does not have; docs/clients.md says so.
LIVE_WITH_NEW_VALUES = ("swift6", "typescript-fetch")
MODELS = {
    "call.created": "CallEvent", "call.ringing": "CallEvent", "call.updated": "CallEvent", "call.ended": "CallEvent",
    "call.participant": "ParticipantEvent", "signal": "SignalEvent", "message.created": "MessageEvent"}
PAYLOAD = {"halo": [1, 2.5, True, None, "📞"]}
# Every warning that generators give of this contract, and why it stays. Other ones are faults of the contract.
WARNINGS = {
    r"OpenAPI 3\.1 support is still in beta": "of the generator itself",
    r"Failed to get the schema name: null": "of the generator itself, for any document, an empty one too",
    r"Circular reference detected in allOf for \$ref: CallFigures": "there is none: examples name a schema twice",
    r"With \(reserved word\) cannot be used as model name": "the query parameter `with`; it is never a model",
    r"File \(model name matches existing language type\)": "the path parameter `file`; it is never a model",
    r"Type \(reserved word\) cannot be used as model name\. Renamed to ModelType": "Swift nests the values of a `type`",
    r"Warning\(s\) encountered while generating\.": "openapi-python-client, of those that follow",
    r"parsing POST /v1/calls/\{call\}/(leave|end) within": "takes text/plain too, for beacons; the JSON one is made",
    r"parsing GET /openapi\.yaml within operations": "YAML is not read; /openapi.json is",
    r"parsing GET /favicon\.ico within operations": "a picture, and nothing else",
}
# Making the clients counts as part of whichever test comes first.
patient = pytest.mark.timeout(900)


class Side:
    """A program that is one side of a call; what it says goes into a file, so that no pipe fills up."""

    def __init__(self, folder, kind: str, side: str, **variables: str):
        command, more = generated.program(kind, side)
        self.kind = kind
        self.path = folder / f"{kind}-{side}-{secrets.token_hex(3)}.txt"
        self.process = subprocess.Popen(
            command, env=environment() | more | {"NO_PROXY": "*"} | variables, stdin=subprocess.PIPE,
            stdout=open(self.path, "wb"), stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self) -> str:
        return self.path.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match:
        def said():
            match = re.search(pattern, self.output)
            assert match or self.process.poll() is None, f"{self.kind} ended: {self.output}"
            return match

        try:
            return wait_until(said, f"{self.kind} says {pattern!r}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.output}") from None

    def hang_up(self) -> None:
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def summary(self) -> dict:
        said = self.wait_for(r"summary (\{.*\})\n")
        assert self.process.wait(20) == 0, self.output
        return json.loads(said[1])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def clients(shared_server):
    return generated.make(shared_server.url)


@pytest.fixture
def begin(tmp_path, clients):
    sides: list[Side] = []

    def run(kind: str, side: str, **variables: str) -> Side:
        sides.append(Side(tmp_path, kind, side, **variables))
        return sides[-1]

    yield run
    for side in sides:
        side.kill()


@patient
@pytest.mark.parametrize("caller, joiner", list(itertools.permutations(KINDS, 2)))
async def test_a_whole_call(shared_server, begin, caller, joiner):
    async with await Client.sign_up(shared_server, "owner") as owner:
        room = await owner.create_room()
        await a_call(shared_server, begin, room["name"], shared_server.recorded_url, caller, joiner)


@patient
@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_later_version_of_the_server_breaks_no_client(shared_server, begin, kind):
    async with await Client.sign_up(shared_server, "owner") as owner:
        room = await owner.create_room()
        values = {"origin": "sms", "transport": "carrier-pigeon"} if kind in LIVE_WITH_NEW_VALUES else {}
        with LaterServer(shared_server.recorded_url, **values) as later:
            for one in await a_call(shared_server, begin, room["name"], later.url, kind, kind):
                others = {name: model for name, model in one["seen"].items() if name not in MODELS}
                assert list(others.values()) == [one["other"]], others
            assert later.events > 4 and later.added > 100


async def a_call(server, begin, room: str, url: str, caller: str, joiner: str) -> list[dict]:
    """From signing up to the record, and that both sides and the server say the same of it."""
    join = begin(joiner, "join", URL=url, ROOM=room)
    join.wait_for("looking for a call" if joiner == "curl" else "waiting")
    invite = {} if "curl" in (caller, joiner) else {"INVITE": join.wait_for(r"user (usr_\w+)")[1]}
    # curl hangs up by a line on stdin as well.
    start = begin(caller, "start", URL=url, ROOM=room, HANGS_UP="yes", **invite)
    for side in (start, join):
        side.wait_for("connected")
    start.hang_up()
    summaries = [side.summary() for side in (start, join) if side.kind != "curl"]
    for side in (start, join):
        if side.kind == "curl":
            side.wait_for("over after [0-9]+ s: completed")
    call = re.search(r"call_\w+", start.output)[0]
    async with await Client.sign_up(server, "reader") as reader:
        await reader.join_room(room)
        record = await reader.get(f"/v1/calls/{call}")
    expected = {
        "call": call, "state": "ended", "endReason": "completed", "endedBy": record["initiator"],
        "participants": {one["user"]: "left" for one in record["participants"]}, "missed": False,
        "connectedAfterAnswer": True, "unseen": 0, "metadata": PAYLOAD, "invitation": ["join_call"],
        "problem": ["/problems/call-ended", 409, call]}
    assert record["endReason"] == "completed" and record["connectedAt"] and len(record["participants"]) == 2
    assert bool(record["ringingAt"]) == bool(invite)
    for summary, other in zip(summaries, [joiner, caller] if caller != "curl" else [caller]):
        assert {name: summary[name] for name in expected} == expected
        assert summary.get("editedAt") is None
        assert summary["custom"] == ([] if other == "curl" else [PAYLOAD])
        assert {"signal", "call.participant", "call.updated", "call.ended"} <= set(summary["seen"])
        if summary["other"] != "string":
            assert {name: model for name, model in summary["seen"].items() if name in MODELS}.items() <= MODELS.items()
        else:
            # TypeScript's types are gone at run time: what is left of a model is its dates.
            assert all(made == "Date" for name, made in summary["seen"].items() if name in MODELS), summary["seen"]
    if invite:
        assert "call.ringing" in summaries[-1]["seen"]
    return summaries


@patient
def test_generators_warn_of_nothing_else(clients):
    said = [line for line in generated.log("generation").splitlines() if re.search(r"\bWARN|\bERROR|Warning\(", line)]
    unexplained = [line for line in said if not any(re.search(pattern, line) for pattern in WARNINGS)]
    assert not unexplained
    never = [pattern for pattern in WARNINGS if not any(re.search(pattern, line) for line in said)]
    assert not never, "these are explained and do not come any more"


@patient
def test_typescript_finds_no_fault_in_strict_mode(clients):
    faults = [line for line in generated.log("typescript").splitlines() if "error TS" in line]
    # TypeScript before 4.9 (Debian 12 has 4.8) does not narrow by `in`, as the generator's type guards expect.
    assert not [line for line in faults if not re.match(r"typescript/models/\w+\.ts\(\d+,\d+\): error TS7053", line)]


@patient
def test_swift_finds_no_fault(clients):
    assert not re.findall(r"(?:error|warning): .*", generated.log("swift"))


@patient
def test_models_have_names_of_their_own(clients):
    """Not those that generators make up where the contract gives none."""
    models = {path.stem.lower() for client in generated.CLIENTS for folder in ("models", "Models")
              for path in (clients / client).rglob(f"{folder}/*") if path.suffix in (".py", ".ts", ".swift")}
    assert len(models) > 200
    assert not [name for name in models if re.search(r"inline|_inner|inner$|_item$|type_?[0-9]|response_?[0-9]", name)]


@patient
def test_only_what_is_free_is_untyped(clients):
    """`Any` is for what clients agree on among themselves, and for what is not told member by member."""
    found = set()
    for path in (clients / "openapi-python-client/comblang_client/models").glob("*.py"):
        for name in re.findall(r"^    (\w+): (?:.*\b)?Any\b", path.read_text(), re.MULTILINE):
            found.add(name)
    assert found <= {"additional_properties", "payload"}, found


def test_parameters_of_an_operation_have_distinct_names():
    """In whatever place: generators make them parameters of one function."""
    contract = Contract.shared()
    for path, item in contract.document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            listed = [contract.schemas.resolved(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
            names = [re.sub("[^a-z]", "", one["name"].lower()) for one in listed]
            assert len(set(names)) == len(names), f"{operation['operationId']}: {names}"


def test_an_event_of_another_type_is_none_of_those_that_are_known():
    schemas = Contract.shared().document["components"]["schemas"]
    pattern = schemas["OtherEvent"]["properties"]["type"]["pattern"]
    known = schemas["StreamEvent"]["discriminator"]["mapping"]
    assert set(schemas["Event"]["discriminator"]["mapping"]) < set(known)
    assert not [kind for kind in known if re.search(pattern, kind)]
    for kind in ("call.transferred", "call", "signals", "room.created.again", "stream.pause", ""):
        assert re.search(pattern, kind), kind
