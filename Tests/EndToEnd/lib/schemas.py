"""The schemas of a contract as validators.

What the server says is held against them more strictly than JSON Schema does: a member that an object's schema does not
name is a difference, as it is a field that the server shows and the contract keeps secret. What clients say is not:
unknown fields of requests are ignored.
"""

import functools
import json

import jsonschema_rs

OPEN, STRICT, PLAIN = "urn:open", "urn:strict", "urn:plain"


class Schemas:
    def __init__(self, document: dict):
        self.document = document
        named = document["components"]["schemas"]
        self._registry = jsonschema_rs.Registry([
            (OPEN, {"schemas": {name: _open(schema) for name, schema in named.items()}}),
            (STRICT, {"schemas": {name: _strict(schema) for name, schema in named.items()}}),
            (PLAIN, {"schemas": {name: _plain(schema) for name, schema in named.items()}})])

    def resolved(self, node: dict) -> dict:
        """What a `$ref` points to; anything else is itself."""
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def differences(self, value, schema: dict, of_server: bool = True) -> list[str]:
        """Where a value is not as its schema says, at most three places."""
        errors = self._validator(json.dumps(schema), of_server).iter_errors(value)
        found = [f"$.{'.'.join(map(str, error.instance_path))}: {error.message[:500]}" for error, _ in zip(errors, range(3))]
        return found

    @functools.cache
    def _validator(self, text: str, of_server: bool):
        schema = json.loads(text)
        return jsonschema_rs.Draft202012Validator(
            _strict(schema) if of_server else _plain(schema), registry=self._registry, validate_formats=True)


def _strict(schema):
    """An object has no members but those that its schema names."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": _named(STRICT, schema["$ref"])}
    opened = _open(schema)
    is_object = "properties" in schema or "allOf" in schema
    return opened | ({"unevaluatedProperties": False} if is_object and "additionalProperties" not in schema else {})


def _open(schema):
    """A part of an object, whose other members another part names; what is in it is strict."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": _named(OPEN, schema["$ref"])}
    result = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: _strict(one) for name, one in value.items()}
        elif key in ("items", "additionalProperties"):
            result[key] = _strict(value)
        elif key == "oneOf" and "mapping" in schema.get("discriminator", {}):
            result |= _chosen(schema["discriminator"])
        elif key in ("oneOf", "anyOf"):
            result[key] = [_strict(one) for one in value]
        elif key == "allOf":
            result["allOf"] = result.get("allOf", []) + [_open(one) for one in value]
        elif key not in ("discriminator", "example", "examples"):
            result[key] = value
    return result


def _chosen(discriminator: dict) -> dict:
    """By the discriminator, so that a difference is told of the one schema that was meant."""
    name, mapping = discriminator["propertyName"], discriminator["mapping"]
    choices = [
        {"if": {"properties": {name: {"const": value}}}, "then": {"$ref": _named(STRICT, target)}}
        for value, target in mapping.items()]
    return {"required": [name], "properties": {name: {"enum": list(mapping)}}, "allOf": choices}


def _plain(schema):
    """As it is written."""
    if isinstance(schema, dict):
        if "$ref" in schema and isinstance(schema["$ref"], str):
            return {"$ref": _named(PLAIN, schema["$ref"])}
        return {key: value if key in ("example", "examples") else _plain(value) for key, value in schema.items()}
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


def _named(base: str, reference: str) -> str:
    return f"{base}#/schemas/{reference.removeprefix('#/components/schemas/')}"
