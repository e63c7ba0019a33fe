"""schemathesis' hooks: who asks, what exists, how streams are read, and which failures are none."""

import atexit
import json
import os
import re
import sys
import time
import uuid
import zlib
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

import schemathesis
import schemathesis.transport.requests as transport
from schemathesis.core import NotSet
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.parameters import DelimitedValue, ParameterLocation
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzzing.world import DEVICE, EXAMPLES, World  # noqa: E402
from lib.contract import Contract  # noqa: E402

# Which statuses each operation has answered with, for the test.
REACHED: defaultdict[str, set[int]] = defaultdict(set)


@atexit.register
def write_reached() -> None:
    if path := os.environ.get("FUZZ_REACHED"):
        Path(path).write_text(json.dumps({operation: sorted(statuses) for operation, statuses in REACHED.items()}))


ROLE = os.environ["FUZZ_ROLE"]
WORLD = World(os.environ["FUZZ_URL"], ROLE, os.environ["FUZZ_ADMIN_TOKEN"])

# A stream that has been silent for so long has said all that it had.
SILENCE_SECONDS = 0.05
STREAM_SECONDS_MAX = 5
STREAM_BYTES_MAX = 1024 * 1024
IDENTIFIER = re.compile(r"([a-z]+)_[0-9A-HJKMNP-TV-Z]{26}")
# `usr_…` is the friend's.
EXAMPLE_OF_KIND = {example.split("_")[0]: example for example in reversed(EXAMPLES) if IDENTIFIER.fullmatch(example)}
EXAMPLE_KEY = "8c3f2a90-3c54-4b0e-9d65-7a1f0f6f3a11"

# What makes a request wrong though each of its parts is right by its schema: (field, message), as the 422 says it.
RELATIONS = [
    # Names a thing, and there is none, or not in this place.
    (r".*", r"must be (a user|a room|a room that is not archived|a message of this room|a member of this room)"),
    (r"peer", r"must be another participant of the call"),
    # `next` of another list, or of none: a page's key is opaque.
    (r"after|before", r"must be .*"),
    # Compared with another member, or with the clock.
    (r"since", r"must be (before until|at most \d+ (hours|days) before until)"),
    (r"q", r"must be given, or a room, or a user"),
    (r"expiresAt", r"must be in the future and at most .*"),
    (r"name", r"must not be given: a private room has none"),
    # Depends on who it is.
    (r"currentPassword", r"must be the present password"),
    (r"role", r"must be user: only accounts can be admins"),
    # More grammar than a pattern should have: RFC 3986, 9110 and 7468.
    (r"url", r"must (be like|have|hold) .*"),
    (r"certificateAuthority", r"must be certificates in PEM .*"),
    (r"headers.*", r"must not name .*|must be a line of at most \d+ bytes"),
    (r"candidates", r"must have 1 to 200 elements, or none with end: true"),
    # Needed unless the signal is encrypted; and null, which is JSON as well, is as good as left out.
    (r"sdp|offer|candidates|payload", r"is required"),
    (r"rttMs", r"or another member of a quality report is required"),
]
# Problems that say the same of the whole request.
RELATION_SLUGS = {
    "idempotency-key-reused": "the key was used for another request",
    "body-too-large": "each part is within its bound, and the whole is not",
    "cursor-expired": "the log does not reach back to this cursor, which is right by its form",
}

if ROLE != "nobody":

    @schemathesis.auth(refresh_interval=None)
    class SignedIn:
        """The account under test, which signs in again after a case that ended its session."""

        def get(self, case, context):
            return WORLD.token

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts what exists in the place of the contract's examples, and of every other random identifier."""
    # By their schemas an encoded value would be none.
    case.path_parameters = put({name: decoded(value) for name, value in case.path_parameters.items()})
    if is_own_only(case) and next(WORLD.numbers) % 3 != 0:
        case.path_parameters = case.path_parameters | {"user": "me"}
    case.query = put(case.query)
    case.body = put(case.body)
    for name, value in list(case.headers.items()):
        if value == EXAMPLE_KEY:
            # The contract's example of a key that is fresh.
            case.headers[name] = str(uuid.uuid4())
        elif name.lower() == "last-event-id":
            case.headers[name] = put(value)
        elif name.lower() == "comblang-device" and re.fullmatch("[A-Za-z0-9_-]{1,64}", str(value)):
            # Another device than that which is in the call would get no further.
            case.headers[name] = DEVICE
    if case.path.endswith("/events") and is_right_wait(case.query.get("wait", 25)):
        # A poll that finds nothing may not hold the run up.
        case.query = dict(case.query) | {"wait": 0}


def is_own_only(case) -> bool:
    """Whether the operation is for oneself, so that somebody else's name leads nowhere."""
    is_profile = case.path == "/v1/users/{user}" and case.method in ("PATCH", "DELETE")
    return is_profile or case.path.startswith("/v1/users/{user}/api-keys")


def decoded(value):
    """`%40budi` as `@budi`; what would mean something else in a path stays encoded."""
    text = unquote(str(value))
    return text if re.fullmatch(r"[A-Za-z0-9_.@~-]{2,}", text) and text != ".." else value


def is_right_wait(wait) -> bool:
    return re.fullmatch(r"\d{1,2}", str(wait)) is not None and int(wait) <= 60


def put(value, name: str | None = None):
    if isinstance(value, dict):
        changed = {key: put(member, key) for key, member in value.items()}
        return changed if changed != value else value
    if isinstance(value, list):
        return [put(item, name) for item in value]
    # `name` is what a new thing shall be called.
    if not isinstance(value, str) or name == "name":
        return value
    if name == "url":
        # Webhooks and bridges go nowhere but here.
        return re.sub(r"^(https?|wss?)://[A-Za-z0-9.-]+(:\d+)?(?=[/?#]|$)", r"\1://127.0.0.1:9", value)
    if value in (WORLD.root["id"], f"@{WORLD.root['username']}"):
        return WORLD.standing_for(EXAMPLE_OF_KIND["usr"])
    kind = IDENTIFIER.fullmatch(value)
    if kind and value not in EXAMPLES and kind[1] in EXAMPLE_OF_KIND and zlib.crc32(value.encode()) % 2 == 0:
        value = EXAMPLE_OF_KIND[kind[1]]
    return WORLD.standing_for(value)


@schemathesis.hook
def after_call(context, case, response):
    """Learns from the answer what the case has used up."""
    REACHED[case.operation.definition.raw["operationId"]].add(response.status_code)
    if response.status_code == 401 or case.method in ("DELETE", "PATCH", "PUT"):
        WORLD.doubt()
    slug = problem_of(response).get("type", "").removeprefix("/problems/")
    has_ended = response.status_code < 300 and (
        case.method == "DELETE" or case.path.endswith(("/leave", "/end", "/reject")))
    for name in used_by(case):
        if has_ended or response.status_code in (404, 410):
            WORLD.spend(name)
        elif name == "call" and response.status_code == 409:
            WORLD.spend(name)
        elif name == "room" and slug in ("not-a-member", "room-archived", "forbidden"):
            WORLD.spend(name)


def used_by(case) -> set[str]:
    """Which of the world's things a case names in its path."""
    shown = {
        WORLD.standing_for(example): thing for example, (thing, _, _) in EXAMPLES.items() if thing in WORLD.things
    }
    return {shown[unquote(str(value))] for value in case.path_parameters.values() if unquote(str(value)) in shown}


def problem_of(response) -> dict:
    if "application/problem+json" not in response.headers.get("content-type", []):
        return {}
    return response.json()


# MARK: Streams


def is_stream(content_type: str | None) -> bool:
    return content_type is not None and content_type.startswith(("text/event-stream", "application/x-ndjson"))


def chunks_until_silent(response):
    """schemathesis itself waits for the whole timeout."""
    connection = getattr(response.raw, "_connection", None)
    if connection is not None and connection.sock is not None:
        connection.sock.settimeout(SILENCE_SECONDS)
    yield from chunks_of(response)


def read_whole_frames(chunks, timeout, events_max) -> tuple[bytes, bool]:
    """The whole events of SSE or lines of NDJSON; whether more might have come. Of NDJSON, schemathesis itself would
    wait for the end."""
    content, is_cut = b"", False
    deadline = time.monotonic() + STREAM_SECONDS_MAX
    try:
        for chunk in chunks:
            content += chunk
            if time.monotonic() > deadline or len(content) > STREAM_BYTES_MAX:
                is_cut = True
                break
    except TimeoutError:
        is_cut = True
    if is_cut:
        end = b"\n" if content.startswith(b"{") else b"\n\n"
        content = content[: content.rfind(end) + len(end)] if end in content else b""
    return content, is_cut


chunks_of = transport._iter_event_stream
transport._iter_event_stream = chunks_until_silent
transport.read_event_stream = read_whole_frames
transport.is_event_stream = is_stream


@schemathesis.check
def stream_conformance(ctx, response, case):
    """Every event of a stream, and every line of an export, is one of the contract."""
    kind = response.headers.get("content-type", [""])[0]
    if not is_stream(kind):
        return
    text = response.content.decode()
    if kind.startswith("application/x-ndjson"):
        lines = text.split("\n")[:-1]
    else:
        lines = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")]
    name = "CallRecord" if case.path.endswith("/export") else "StreamEvent"
    for line in lines:
        differences = Contract.shared().schemas.differences(json.loads(line), {"$ref": f"#/components/schemas/{name}"})
        if differences:
            label, message = case.operation.label, "\n".join(differences)
            raise Failure(operation=label, title="Event is not of the contract", message=message)


# MARK: What is no failure


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """Whether it is one."""
    if isinstance(failure, UseAfterFree):
        # A room is archived, not deleted: what was said in it can be read.
        return re.fullmatch(r"DELETE /v1/rooms/[^/]+", failure.free) is None
    if isinstance(failure, RejectedPositiveData):
        problem = problem_of(response)
        # A beacon's text is JSON by its `contentMediaType`, which no generator knows.
        is_beacon = case.media_type == "text/plain" and problem.get("type") == "/problems/invalid-json"
        return not (is_beacon or is_relation(problem))
    if isinstance(failure, AcceptedNegativeData):
        return not is_right_without_blanks(case)
    return True


def is_relation(problem: dict) -> bool:
    """Whether the request was refused for what JSON Schema cannot say: see `RELATIONS`."""
    if problem.get("type", "").removeprefix("/problems/") in RELATION_SLUGS:
        return True
    errors = problem.get("errors", [])
    return bool(errors) and all(
        any(re.fullmatch(field, one["field"]) and re.fullmatch(message, one["message"]) for field, message in RELATIONS)
        for one in errors)


def is_right_without_blanks(case) -> bool:
    """The contract's introduction: null and an empty parameter are as good as left out."""
    for location in (ParameterLocation.PATH, ParameterLocation.QUERY, ParameterLocation.HEADER):
        parameters = case.operation.get_parameter_set(location)
        values = dict(case.get_container(location) or {})
        given = {name: plain(value) for name, value in values.items() if value not in ("", [""]) and name in parameters}
        if not parameters.get_strict_validator().is_valid(given):
            return False
    body = case.operation.get_body_for_media_type(case.media_type) if case.media_type else None
    if body is None or isinstance(case.body, NotSet):
        return body is None or not body.is_required
    validator = make_validator(body.optimized_schema, case.operation.schema.adapter.jsonschema_validator_cls)
    return validator.is_valid(without_nulls(case.body))


def plain(value):
    """A list that was joined for the wire is one again, and without blanks."""
    if isinstance(value, DelimitedValue):
        value = str(value).split(",")
    if isinstance(value, list):
        return [one for one in value if one != ""]
    return str(value) if isinstance(value, str) else value


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return value
