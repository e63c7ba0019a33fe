"""`openapi/openapi.yaml` as a judge of real exchanges: route, status, headers, media type, problem and body of every
answer that a test gets, and what was asked for where it was granted."""

import functools
import json
import re
from urllib.parse import parse_qsl, unquote

import httpx
import yaml

from .event_source import EventSourceParser
from .exchanges import Exchange
from .schemas import Schemas
from .server import ROOT

# Nothing but a defect answers so: the contract lists it, as a client must be ready for it, and no test may see one.
DEFECT = 500
SOCKET_FRAMES = {"openWebSocket": "StreamEvent", "openRoomSocket": "RoomFrame"}


class Contract:
    """The document, with its paths as patterns and its schemas as validators."""

    def __init__(self, document: dict):
        self.document = document
        self.schemas = Schemas(document)
        self.paths = [
            (re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(template))), template)
            for template in document["paths"]
        ]
        # `/users/me` wins over `/users/{user}`, as in OpenAPI.
        self.paths.sort(key=lambda entry: entry[1].count("{"))

    @classmethod
    @functools.cache
    def shared(cls) -> "Contract":
        return cls(yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text()))

    # MARK: In a test

    def check(self, answer: httpx.Response) -> None:
        """Fails when the answer is not one that the contract lists. Streams are not read."""
        exchange = Exchange.of(answer.request)
        exchange.answered(answer.status_code, answer.headers.multi_items())
        exchange.received(answer.content)
        differences = self.differences(exchange.complete())
        assert not differences, f"{answer.request.method} {answer.request.url.path} → {answer.status_code}: {differences}"

    def check_event(self, envelope: dict) -> None:
        """What came over any wire, control events included."""
        differences = self.schemas.differences(envelope, {"$ref": "#/components/schemas/StreamEvent"})
        assert not differences, f"event {envelope.get('type')}: {differences}"

    # MARK: What was written down

    def operation(self, method: str, target: str) -> tuple[str | None, dict | None]:
        """The template of a path and the operation on it; `None` for what the contract has not."""
        path = target.partition("?")[0]
        template = next((template for pattern, template in self.paths if pattern.fullmatch(path)), None)
        if template is None:
            return None, None
        item = self.document["paths"][template]
        operation = item.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            return template, None
        return template, operation | {"parameters": item.get("parameters", []) + operation.get("parameters", [])}

    def promised(self) -> set[tuple[str, str]]:
        """All that tests can provoke: every operation with every status, every slug, every type of event."""
        statuses = {
            (operation["operationId"], status) for item in self.document["paths"].values()
            for method, operation in item.items() if method != "parameters"
            for status in operation["responses"] if status != str(DEFECT)}
        schemas = self.document["components"]["schemas"]
        slugs = {("problem", slug) for slug in schemas["ProblemSlug"]["enum"] if slug != "internal-error"}
        return statuses | slugs | {("event", kind) for kind in schemas["StreamEvent"]["discriminator"]["mapping"]}

    def provoked(self, exchange: dict) -> set[tuple[str, str]]:
        """What of it an exchange shows."""
        _, operation = self.operation(exchange["method"], exchange["target"])
        found = set()
        if operation is not None and exchange["method"] != "HEAD":
            found.add((operation["operationId"], str(exchange["status"])))
            found |= {("event", one.get("type")) for one in self._envelopes(exchange, operation) if isinstance(one, dict)}
        if exchange["status"] >= 400 and isinstance(problem := _json(exchange["answer"]), dict):
            found.add(("problem", str(problem.get("type")).removeprefix("/problems/")))
        return found

    def _envelopes(self, exchange: dict, operation: dict) -> list:
        """The events that came, by whatever wire."""
        kind = exchange["headers"].get("content-type", "").partition(";")[0]
        if operation["operationId"] == "openWebSocket":
            return list(map(_json, exchange.get("frames", [])))
        if kind == "text/event-stream":
            return [_json(frame.data) for frame in EventSourceParser().feed(exchange["answer"].encode())]
        if kind == "application/x-ndjson":
            return [_json(line) for line in exchange["answer"].split("\n") if line.strip()]
        if operation["operationId"].startswith("poll") and exchange["status"] == 200 and not exchange["cut"]:
            page = _json(exchange["answer"])
            return page.get("events", []) + page.get("ephemeral", []) if isinstance(page, dict) else []
        return []

    def differences(self, exchange: dict) -> list[str]:
        """In what an exchange differs from the contract; empty if in nothing."""
        status, headers = exchange["status"], exchange["headers"]
        if status == DEFECT:
            return [f"a defect answered: {exchange['answer'][:500]}"]
        found = [] if headers.get("x-request-id") else ["X-Request-Id is missing"]
        template, operation = self.operation(exchange["method"], exchange["target"])
        if exchange["method"] == "OPTIONS" and "access-control-request-method" in exchange["fields"]:
            return found + ([] if status == 204 else [f"a preflight is answered by {status}"])
        if status == 400 and _is_no_http(exchange):
            return found + self._problem(exchange, ["invalid-request", *(operation or {}).get("x-problems", [])])
        if template is None:
            # A path that is no text is 400, one that nothing is at 404.
            return found + self._problem(exchange, {400: ["invalid-request"], 404: ["not-found"]}.get(status, []))
        if operation is None:
            return found + self._problem(exchange, ["method-not-allowed"] if "allow" in headers else [])
        listed = operation["responses"].get(str(status))
        if listed is None:
            return found + [f"the contract has only {sorted(operation['responses'])}: {exchange['answer'][:500]}"]
        listed = self.schemas.resolved(listed)
        found += self._headers(headers, listed.get("headers", {}))
        found += self._body(exchange, listed.get("content", {}), operation)
        if status < 400 and exchange["readable"]:
            found += self._request(exchange, template, operation)
        return found

    def _problem(self, exchange: dict, slugs: list[str]) -> list[str]:
        """Of an answer that is a problem: whether it is one, of its status and with one of these slugs."""
        kind = exchange["headers"].get("content-type", "").partition(";")[0]
        if kind != "application/problem+json":
            return [f"{kind!r} is no problem: {exchange['answer'][:200]}"]
        if exchange["method"] == "HEAD" or exchange["cut"]:
            return []
        problem = _json(exchange["answer"])
        found = self.schemas.differences(problem, {"$ref": "#/components/schemas/Problem"})
        if found:
            return found
        slug = problem["type"].removeprefix("/problems/")
        if problem["status"] != exchange["status"]:
            found.append(f"a problem of {problem['status']} comes with {exchange['status']}")
        if slug not in slugs:
            found.append(f"{slug} is not in x-problems: {sorted(slugs)}")
        return found

    def _headers(self, headers: dict[str, str], listed: dict) -> list[str]:
        found = []
        for name, header in listed.items():
            header = self.schemas.resolved(header)
            value = headers.get(name.lower())
            if value is None:
                found += [f"header {name} is missing"] if header.get("required") else []
            else:
                differences = self.schemas.differences(_typed(value, self.schemas.resolved(header["schema"])), header["schema"])
                found += [f"header {name} {difference}" for difference in differences]
        # Headers of ours that the contract does not name.
        names = {name.lower() for name in listed}
        ours = {"event-cursor", "link", "location", "retry-after", "etag", "ratelimit", "ratelimit-policy"}
        unnamed = ours & set(headers) - names
        return found + [f"header {name} is not in the contract" for name in sorted(unnamed)]

    def _body(self, exchange: dict, content: dict, operation: dict) -> list[str]:
        if exchange["status"] == 101:
            schema = {"$ref": f"#/components/schemas/{SOCKET_FRAMES[operation['operationId']]}"}
            return self._all(map(_json, exchange["frames"]), schema)
        if not content:
            return [f"a body of {exchange['answer_bytes']} bytes, the contract has none"] if exchange["answer_bytes"] else []
        kind = exchange["headers"].get("content-type", "").partition(";")[0]
        if kind not in content:
            return [f"media type {kind!r}, the contract has {sorted(content)}"]
        if exchange["method"] == "HEAD":
            return ["a HEAD has a body"] if exchange["answer_bytes"] else []
        schema, text, is_cut = content[kind].get("schema", {}), exchange["answer"], exchange["cut"]
        if kind == "application/problem+json":
            return self._problem(exchange, operation["x-problems"])
        if kind == "text/event-stream":
            return self._events(text)
        if kind == "application/x-ndjson":
            lines = text.split("\n")
            return self._all((_json(line) for line in (lines[:-1] if is_cut else lines) if line.strip()), schema)
        # A form cannot be told of a piece.
        if is_cut:
            return []
        if kind == "application/yaml":
            return self.schemas.differences(yaml.safe_load(text), schema)
        return self.schemas.differences(_json(text) if kind.endswith("json") else text, schema)

    def _events(self, text: str) -> list[str]:
        parser = EventSourceParser()
        frames = parser.feed(text.encode())
        found = self._all((_json(frame.data) for frame in frames), {"$ref": "#/components/schemas/StreamEvent"})
        for frame in frames:
            envelope = _json(frame.data)
            if isinstance(envelope, dict) and frame.event not in ("message", envelope.get("type")):
                found.append(f"{envelope.get('type')} comes under the name {frame.event}")
        return found[:3]

    def _all(self, values, schema: dict) -> list[str]:
        return [difference for value in values for difference in self.schemas.differences(value, schema)][:3]

    # MARK: What was granted

    def _request(self, exchange: dict, template: str, operation: dict) -> list[str]:
        """What the contract forbids was not granted."""
        found = self._parameters(exchange, template, operation["parameters"])
        security = operation.get("security", self.document["security"])
        query = {name for name, _ in _query(exchange["target"])}
        schemes = {name for one in security for name in one}
        if security and {} not in security and not exchange["credentials"]:
            names = {self.document["components"]["securitySchemes"][scheme].get("name") for scheme in schemes}
            if not names & query:
                found.append("granted without credentials")
        if exchange["method"] == "HEAD" or exchange["body_bytes"] > len(exchange["body"].encode()):
            return found
        body = operation.get("requestBody")
        if body is None or not exchange["body_bytes"]:
            return found + (["granted without its body"] if body and body.get("required") else [])
        kind = exchange["fields"].get("content-type", "").partition(";")[0].strip().lower()
        # No type, or what curl -d says by itself, is taken for JSON.
        if kind in ("", "application/x-www-form-urlencoded"):
            kind = "application/json"
        if kind not in body["content"]:
            return found + [f"granted a body of {kind}"]
        # Null is as good as left out, says the contract.
        value, schema = exchange["body"], body["content"][kind].get("schema", {})
        if "contentSchema" in schema:
            kind, schema = schema["contentMediaType"], schema["contentSchema"]
        if kind.endswith("json"):
            value = _without_nulls(_json(value))
        return found + [f"granted {one}" for one in self.schemas.differences(value, schema, of_server=False)]

    def _parameters(self, exchange: dict, template: str, parameters: list[dict]) -> list[str]:
        names = re.findall(r"\{(\w+)\}", template)
        pattern = re.sub(r"\\{[^}]+\\}", "([^/]+)", re.escape(template))
        path = dict(zip(names, re.fullmatch(pattern, exchange["target"].partition("?")[0]).groups()))
        query = _query(exchange["target"])
        found = []
        for parameter in map(self.schemas.resolved, parameters):
            name, place = parameter["name"], parameter["in"]
            schema = self.schemas.resolved(parameter["schema"])
            # An empty one is as good as left out.
            given = [value for key, value in query if key == name and value]
            if place == "header":
                given = [exchange["fields"][name.lower()]] if exchange["fields"].get(name.lower()) else []
            elif place == "path":
                given = [unquote(path[name])]
            elif schema.get("type") == "array" and not parameter.get("explode", True):
                given = [one for value in given for one in value.split(",")]
            if not given or name in ("ticket", "resume"):
                found += [f"granted without {name}"] if parameter.get("required") else []
                continue
            if place == "query" and schema.get("type") != "array" and len(given) > 1:
                found.append(f"granted {name}={given}, which has one value")
            value = given if schema.get("type") == "array" else _typed(given[0], schema)
            differences = self.schemas.differences(value, parameter["schema"], of_server=False)
            found += [f"granted {name}={given} {one}" for one in differences]
        return found


def _is_no_http(exchange: dict) -> bool:
    """Whether the bytes of a request were none, as far as one sees: the server then reads no further."""
    return exchange["headers"].get("connection") == "close" or not exchange["readable"]


def _query(target: str) -> list[tuple[str, str]]:
    return parse_qsl(target.partition("?")[2], keep_blank_values=True)


def _typed(text: str, schema: dict):
    """The value that a parameter or header stands for."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _without_nulls(value):
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _json(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return f"not JSON: {text[:200]}"
