"""The JSON Schemas of answers, made of their types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from scoresvc.scores import Timestamp

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
ERROR = {"$ref": f"{PREFIX}Error"}
ERROR_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}


def make_schemas(types: Iterable[type]) -> tuple[dict[type, Schema], dict[str, Schema]]:
    """Returns a reference for each of the types that have a form in JSON, and the schemas by name."""
    structs = [each for each in dict.fromkeys(types) if issubclass(each, msgspec.Struct)]
    references, components = msgspec.json.schema_components(
        structs, schema_hook=_describe_special, ref_template=PREFIX + "{name}"
    )
    return dict(zip(structs, references, strict=True)), {**components, "Error": ERROR_SCHEMA}


def _describe_special(kind: type) -> Schema:
    if kind is Timestamp:
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError(kind)
