"""The OpenAPI document is made of the table of calls, and the service does what it says."""

from __future__ import annotations

import re
from typing import Any

import openapi_spec_validator
import pytest
from webtest import TestApp

from scoresvc.actions import AddToken
from scoresvc.api.calls import CALLS
from scoresvc.api.openapi import make_document
from scoresvc.api.openapi_examples import EXAMPLES
from scoresvc.errors import NoSuchToken, TokenExists
from scoresvc.storage import Store
from scoresvc.storage.keys import hash_key
from tests.conftest import refusals

TOKEN = "operator"
WITHOUT_EXAMPLE = (
    "GET /metrics",
    "GET /<levelid>/events",
    "GET /openapi.json",
)  # and pages: too long, or never the same
MASKS = (
    (re.compile(r"\b[A-Z2-7]{32}\b"), "KEY"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"^\d{4}-\d\d-\d\d$"), "DATE"),
    (re.compile(r"user=\d+"), "user=NUMBER"),
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_document(CALLS)


def masked(text: str) -> str:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def test_the_document_is_valid(app: TestApp) -> None:
    openapi_spec_validator.validate(app.get("/openapi.json").json)


def test_every_call_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    paths = {
        f"{method} {path.replace('<', '{').replace('>', '}')}"
        for call in CALLS
        for path in (call.path, *call.other_paths)
        for method in (call.method, *call.other_methods)
        if "#" not in path
    }

    assert described == paths


def test_every_refusal_of_a_call_is_in_it(document: dict[str, Any]) -> None:
    text = str(document)

    missing = {each for each in refusals() if f"`{each.code}`" not in text}

    assert missing == {NoSuchToken, TokenExists}  # of the shell


def test_every_example_is_what_a_client_gets(app: TestApp, store: Store) -> None:
    for user, score in ((4711, 1500), (131, 1220)):
        store.scores.post(2, user, score).result()
    store.admin.perform("operator", AddToken("operator", hash_key(TOKEN), ("all",))).result()
    calls = {call.name: call for call in CALLS}
    session_key = app.get("/4711/login").text

    for name, example in EXAMPLES.items():
        call = calls[name]
        headers = {"Authorization": f"Bearer {TOKEN if call.token else session_key}"}
        headers = {} if name == "GET /<userid>/login" else headers  # where it would be a secret
        body = {"params": example.body} if call.method in ("POST", "PUT") else {}
        answer = getattr(app, call.method.lower())(example.path, headers=headers, **body)
        assert masked(answer.text) == masked(example.text), name


def test_every_call_has_an_example() -> None:
    lacking = [call.name for call in CALLS if call.name not in EXAMPLES and not call.is_page]

    assert lacking == [name for name in lacking if name in WITHOUT_EXAMPLE]


def test_the_service_says_in_json_where_it_is_described(app: TestApp) -> None:
    info = app.get("/", headers={"Accept": "application/json"}).json

    assert info["name"] == "scoresvc"
    assert app.get(info["openapi"]).json["info"]["version"] == info["version"]
    assert info["version"] in app.get(info["docs"]).text


def test_the_document_need_not_be_sent_twice(app: TestApp) -> None:
    etag = app.get("/openapi.json").headers["ETag"]

    app.get("/openapi.json", headers={"If-None-Match": etag}, status=304)


def test_the_page_shows_every_call(app: TestApp, document: dict[str, Any]) -> None:
    text = app.get("/docs").text

    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<b>{method.upper()}</b> {path}</code>" in text
