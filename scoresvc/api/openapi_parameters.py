"""How parameters stand in an OpenAPI document: https://spec.openapis.org/oas/v3.1.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scoresvc.api.admin_parameters import FieldParameter, Parameter, SettingsParameter, TokenParameter
from scoresvc.api.kinds import Kind
from scoresvc.api.page_parameters import HeaderParameter
from scoresvc.api.parameters import (
    BodyParameter,
    FormatParameter,
    PathParameter,
    PostKeyParameter,
    QueryParameter,
    SecretParameter,
    SessionKeyParameter,
    TextBodyParameter,
    TextParameter,
)
from scoresvc.levels import KINDS as SETTING_KINDS

Described = dict[str, Any]

TEXT = {"type": "string"}
OBJECT_TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")

SESSION_KEY, SESSION_KEY_IN_QUERY = "sessionKey", "sessionKeyInQuery"
SECRET, SECRET_IN_QUERY = "userSecret", "userSecretInQuery"
TOKEN = "operatorToken"
SECURITY_SCHEMES: Described = {
    SESSION_KEY: {"type": "http", "scheme": "bearer", "description": "The session key of a login."},
    SESSION_KEY_IN_QUERY: {"type": "apiKey", "in": "query", "name": "sessionkey", "description": "The same."},
    SECRET: {"type": "http", "scheme": "bearer", "description": "The secret of a user who has one."},
    SECRET_IN_QUERY: {"type": "apiKey", "in": "query", "name": "secret", "description": "The same."},
    TOKEN: {"type": "http", "scheme": "bearer", "description": "A token of `scoresvc token add`."},
}


def describe_parameters(takes: Sequence[Parameter]) -> list[Described]:
    """Returns what is sent in the path, the query and the header."""
    return [described for parameter in takes for described in _describe(parameter)]


def _describe(parameter: Parameter) -> Iterator[Described]:
    match parameter:
        case PathParameter(name, _, kind, meaning):
            yield {"name": name, "in": "path", "required": True, "description": meaning, "schema": kind.schema}
        case QueryParameter(name, kind, meaning):
            yield _of_query(name, meaning, kind.schema) | ({"explode": False} if parameter.takes_list else {})
        case PostKeyParameter(name, kind, meaning):
            yield _of_query(name, meaning, kind.schema)
            yield {"name": "Idempotency-Key", "in": "header", "description": f"as `{name}`", "schema": kind.schema}
        case TextParameter(name, kind, meaning) | FieldParameter(name, kind, meaning):
            yield _of_query(name, meaning, kind.schema)
        case SettingsParameter():
            for name in parameter.query_names:
                yield _of_query(name, SETTING_KINDS[name].describe(), TEXT)
        case FormatParameter(name, meaning):
            yield _of_query(name, meaning, {"type": "string", "enum": ["lines"]})
        case HeaderParameter(name, meaning):
            yield {"name": name, "in": "header", "description": meaning, "schema": TEXT}


def _of_query(name: str, meaning: str, schema: Mapping[str, Any]) -> Described:
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def describe_body(takes: Sequence[Parameter]) -> Described | None:
    """Returns what is sent in the body, in each form; None for a call that reads none."""
    whole = next((each for each in takes if isinstance(each, BodyParameter | TextBodyParameter)), None)
    properties = dict(_properties(takes))
    if whole is None and not any(isinstance(each, FieldParameter | SettingsParameter) for each in takes):
        return None
    needed = [each.name for each in takes if isinstance(each, BodyParameter)]
    fields: Described = {"type": "object", "properties": properties} | ({"required": needed} if needed else {})
    content: Described = {media_type: {"schema": fields} for media_type in OBJECT_TYPES}
    if whole is not None:
        content["text/plain"] = {"schema": whole.kind.schema}
        content["application/json"] = {"schema": {"anyOf": [fields, whole.kind.schema]}}
    return {"required": bool(needed), "content": content}


def _properties(takes: Sequence[Parameter]) -> Iterator[tuple[str, Described]]:
    for each in takes:
        match each:
            case BodyParameter(name, kind, meaning) | TextParameter(name, kind, meaning):
                yield name, _field(kind, meaning)
            case FieldParameter(name, kind, meaning):
                yield name, _field(kind, meaning)
            case SettingsParameter():
                for name in each.query_names:
                    yield name, {**TEXT, "description": SETTING_KINDS[name].describe()}
            case SessionKeyParameter(name, meaning):
                yield name, {**TEXT, "description": meaning}


def _field(kind: Kind, meaning: str) -> Described:
    return {**kind.schema, "description": meaning}


def describe_security(takes: Sequence[Parameter]) -> list[Described] | None:
    """Returns the ways to be known, of which one is enough; None for a call that everyone may make."""
    for each in takes:
        match each:
            case SessionKeyParameter():
                return [{SESSION_KEY: []}, {SESSION_KEY_IN_QUERY: []}]
            case SecretParameter():
                return [{}, {SECRET: []}, {SECRET_IN_QUERY: []}]
            case TokenParameter():
                return [{TOKEN: []}]
    return None
