"""Describes the calls as OpenAPI 3.1, from their table alone: https://spec.openapis.org/oas/v3.1.1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from scoresvc.api.admin_formats import ACTION
from scoresvc.api.call import Call
from scoresvc.api.formats import EVENT_STREAM, HTML, JSON, TEXT
from scoresvc.api.openapi_examples import EXAMPLES
from scoresvc.api.openapi_parameters import (
    SECURITY_SCHEMES,
    Described,
    describe_body,
    describe_parameters,
    describe_security,
)
from scoresvc.api.parameters import FormatParameter, PathParameter, PostKeyParameter, QueryParameter
from scoresvc.api.schemas import ERROR, Schema, make_schemas
from scoresvc.errors import (
    BracketedParameter,
    FractionInPath,
    InternalError,
    MethodNotAllowed,
    RepeatedParameter,
    TooMany,
    Unauthorized,
    Unavailable,
    UnknownParameter,
    UnknownPath,
    http,
)
from scoresvc.errors.base import Refusal

OPENAPI = "3.1.0"
OF_A_NUMBER_IN_A_PATH = (UnknownPath, FractionInPath)
OF_THE_SERVER = (
    MethodNotAllowed, *[each for each in vars(http).values() if isinstance(each, type) and Refusal in each.__bases__]
)  # fmt: skip
OF_ANY_CALL: tuple[type[Refusal], ...] = (UnknownParameter, RepeatedParameter, Unavailable, InternalError)

# The modules of the handlers, in their order.
TAGS = {
    "sessions": "Log in.",
    "scores": "Post scores.",
    "boards": "Read boards and ranks.",
    "levels": "Read levels and their periods.",
    "users": "Who users are.",
    "pages": "Boards for people, and the page of operators.",
    "views": "Boards that are watched.",
    "admin": "What operators and the game's own server do, with a token.",
    "monitoring": "Whether the service does its work.",
    "root": "The service itself.",
    "openapi_calls": "This description.",
}
HEADERS: Described = {
    "ETag": {"description": "The tag of the body, for If-None-Match.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` where the post was stored before, and counts once.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}


def make_document(calls: Sequence[Call]) -> Described:
    """Returns the document of a table of calls."""
    references, components = make_schemas(call.gives for call in calls)
    paths: dict[str, Described] = defaultdict(dict)
    for call in calls:
        for path in (call.path, *[each for each in call.other_paths if "#" not in each]):
            for method in (call.method, *call.other_methods):
                paths[_template(path)][method.lower()] = _describe_call(call, path, method, references)
    return {
        "openapi": OPENAPI,
        "info": {"title": "scoresvc", "version": version("scoresvc"), "description": "High scores for games."},
        "tags": [{"name": name, "description": meaning} for name, meaning in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {"Refused": _describe_refused(OF_THE_SERVER)},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _template(path: str) -> str:
    return path.replace("<", "{").replace(">", "}")


def _describe_call(call: Call, path: str, method: str, references: dict[type, Schema]) -> Described:
    body, security = describe_body(call.takes), describe_security(call.takes)
    parameters = describe_parameters(call.takes)
    return {
        "operationId": "_".join([method.lower(), *filter(None, _template(path).strip("/").split("/"))]),
        "summary": call.summary,
        "tags": [call.handler.__module__.rpartition(".")[2]],
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": body} if body else {}),
        **({"security": security} if security else {}),
        "responses": {
            **_describe_success(call, references),
            **_describe_refusals(call),
            "default": {"$ref": "#/components/responses/Refused"},
        },
    }


def _describe_success(call: Call, references: dict[type, Schema]) -> Described:
    headers = {"ETag": HEADERS["ETag"]} if call.has_etag else {}
    if any(isinstance(each, PostKeyParameter) for each in call.takes):
        headers["Idempotent-Replayed"] = HEADERS["Idempotent-Replayed"]
    success: Described = {"description": call.text.pattern, "content": _describe_content(call, references)}
    return {
        "200": success | ({"headers": headers} if headers else {}),
        **({"304": {"description": "The client has the body already."}} if call.has_etag else {}),
    }


SCHEMA_OF_TYPE: dict[str, Schema] = {JSON: {"type": "object"}, EVENT_STREAM.partition(";")[0]: {}}


def _describe_content(call: Call, references: dict[type, Schema]) -> Described:
    """Describes the forms of an answer, by their types."""
    media_type = _media_type(call.text.content_type)
    content: Described = {media_type: {"schema": SCHEMA_OF_TYPE.get(media_type, {"type": "string"})}}
    if any(isinstance(each, FormatParameter) for each in call.takes):
        content[_media_type(TEXT)] = {"schema": {"type": "string"}}
    if issubclass(call.gives, Struct):
        reference = references[call.gives]
        content[JSON] = {"schema": {"anyOf": [reference, {"type": "null"}]} if call.text is ACTION else reference}
    if call.page:
        content[_media_type(HTML)] = {"schema": {"type": "string"}}
    if example := EXAMPLES.get(call.name):
        content[media_type]["example"] = msgspec.json.decode(example.text) if media_type == JSON else example.text
    return content


def _describe_refusals(call: Call) -> Described:
    by_status: dict[str, list[type[Refusal]]] = defaultdict(list)
    for refusal in dict.fromkeys(_refusals_of(call)):
        by_status[refusal.status[:3]].append(refusal)
    return {status: _describe_status(call, refusals) for status, refusals in sorted(by_status.items())}


def _refusals_of(call: Call) -> Iterable[type[Refusal]]:
    yield from call.refuses
    yield from OF_ANY_CALL
    if call.option or call.token:
        yield UnknownPath
    for parameter in call.takes:
        yield from parameter.refuses
        if isinstance(parameter, PathParameter):
            yield from OF_A_NUMBER_IN_A_PATH
        if isinstance(parameter, QueryParameter) and parameter.takes_list:
            yield BracketedParameter
    if Unauthorized in [refusal for parameter in call.takes for refusal in parameter.refuses]:
        yield TooMany  # wrong keys of an address are counted


def _describe_refused(refusals: Sequence[type[Refusal]]) -> Described:
    """Describes refusals that come before there is a call."""
    return {
        "description": "\n\n".join(
            ["The server refuses what is no request for a call.", *map(_describe_code, refusals)]
        ),
        "content": {_media_type(TEXT): {"schema": {"type": "string"}}, JSON: {"schema": ERROR}},
    }


def _describe_code(refusal: type[Refusal]) -> str:
    return f"`{refusal.code}` ({refusal.status[:3]}): {' '.join((refusal.__doc__ or '').split())}"


def _describe_status(call: Call, refusals: Sequence[type[Refusal]]) -> Described:
    codes: dict[str, Any] = {
        "properties": {"error": {"properties": {"code": {"enum": [each.code for each in refusals]}}}}
    }
    content: Described = {
        _media_type(TEXT): {"schema": {"type": "string"}},
        JSON: {"schema": {"allOf": [ERROR, codes]}},
    }
    if call.is_page or call.page:
        content[_media_type(HTML)] = {"schema": {"type": "string"}}
    headers = [name for name, statuses in HEADERS_OF.items() if refusals[0].status[:3] in statuses]
    described: Described = {"description": "\n\n".join(map(_describe_code, refusals)), "content": content}
    return described | ({"headers": {name: HEADERS[name] for name in headers}} if headers else {})


HEADERS_OF = {"Retry-After": ("429", "503"), "WWW-Authenticate": ("401",)}


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]
