"""`openapi/openapi.yaml` as a judge of real exchanges: route, status and JSON body of every answer a test gets."""

import functools
import json
import re

import httpx
import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from .server import ROOT

JUDGED_BYTES_MAX = 64 * 1024


class Contract:
    """The document, with its paths as patterns and its schemas as validators."""

    def __init__(self, document: dict):
        self.document = document
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

    def check(self, answer: httpx.Response) -> None:
        """Fails when the answer is not one that the contract lists. Streams are not read."""
        request = answer.request
        where = f"{request.method} {request.url.path} → {answer.status_code}"
        assert answer.headers.get("x-request-id"), f"{where} has no X-Request-Id"
        template = next((template for pattern, template in self.paths if pattern.fullmatch(request.url.path)), None)
        kind = answer.headers.get("content-type", "").split(";")[0]
        if answer.status_code >= 400:
            assert kind == "application/problem+json", f"{where} is {kind!r}, not problem+json: {answer.text[:500]}"
        if template is None:
            assert answer.status_code in (400, 404), f"{where}: no such path in the contract"
            return
        operation = self.document["paths"][template].get(request.method.lower())
        if operation is None:
            assert answer.status_code == 405, f"{where}: no such operation in the contract"
            return
        responses = operation["responses"]
        listed = responses.get(str(answer.status_code), responses.get(f"{answer.status_code // 100}XX"))
        assert listed is not None, f"{where} is not in the contract, which has {sorted(responses)}"
        listed = self._resolved(listed)
        content = listed.get("content")
        if not content:
            assert not answer.content, f"{where} has a body, the contract has none"
            return
        assert kind in content, f"{where} is {kind!r}, the contract has {sorted(content)}"
        # Large answers (a thousand events) would take seconds each, and small ones have shown their form.
        if kind.endswith("json") and "schema" in content[kind] and len(answer.content) <= JUDGED_BYTES_MAX:
            self._validate(answer.json(), content[kind]["schema"], where)

    def check_event(self, envelope: dict) -> None:
        """What came over any wire, control events included."""
        kinds = self.document["components"]["schemas"]["StreamEvent"]["discriminator"]["mapping"]
        kind = envelope.get("type")
        assert kind in kinds, f"{kind!r} is no event of the contract"
        self._validate(envelope, {"$ref": kinds[kind]}, f"event {kind}")

    def check_schema(self, value, name: str) -> None:
        """Fails unless `value` is one of the schema of that name."""
        self._validate(value, {"$ref": f"#/components/schemas/{name}"}, name)

    def _resolved(self, node: dict) -> dict:
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def _validate(self, value, schema: dict, where: str) -> None:
        error = jsonschema.exceptions.best_match(self._validator(json.dumps(schema)).iter_errors(value))
        assert error is None, f"{where}: {error.json_path}: {error.message[:1000]}"

    @functools.cache
    def _validator(self, schema: str) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator(_absolute(json.loads(schema)), registry=self._registry)

    @functools.cached_property
    def _registry(self) -> Registry:
        document = _absolute(self.document)
        return Registry().with_resource("urn:openapi", Resource(document, DRAFT202012))


def _absolute(node):
    """The same with `#/components/…` as `urn:openapi#/components/…`, as a schema is taken out of its document."""
    if isinstance(node, dict):
        return {
            key: f"urn:openapi{value}" if key == "$ref" and str(value).startswith("#") else _absolute(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_absolute(item) for item in node]
    return node
