"""An application under WebTest whose every answer is held against the OpenAPI document."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from webtest import TestApp, TestResponse

from scoresvc.api.calls import CALLS
from scoresvc.api.openapi import make_document
from scoresvc.api.router import find_route
from scoresvc.errors import Refusal

DOCUMENT = make_document(CALLS)
OPERATIONS = {
    f"{method} {call.path}": DOCUMENT["paths"][call.path.replace("<", "{").replace(">", "}")][method.lower()]
    for call in CALLS
    for method in (call.method, *call.other_methods)
}
ROUTED = {call.name: call for call in CALLS}

_validators: dict[int, Draft202012Validator] = {}


class DescribedApp(TestApp):
    def do_request(self, req: Any, *values: Any, **options: Any) -> TestResponse:
        response = super().do_request(req, *values, **options)
        if response.status[:3] != "405":  # of a method that no call has
            check(req.method, req.environ["PATH_INFO"], response)
        return response


def check(method: str, path: str, response: TestResponse) -> None:
    """Raises AssertionError where an answer is none that the document describes for its call."""
    try:
        route, _ = find_route("GET" if method == "HEAD" else method, path)
    except Refusal:
        return
    method = method if method in (ROUTED[route.name].method, *ROUTED[route.name].other_methods) else "GET"
    answers = OPERATIONS[f"{method} {ROUTED[route.name].path}"]["responses"]
    status = response.status[:3]
    assert status in answers, f"{method} {path}: the document has no {status}"
    if not response.body:
        return
    content = answers[status]["content"]
    assert response.content_type in content, f"{method} {path}: the document has no {response.content_type}"
    if response.content_type == "application/json":
        schema = content["application/json"]["schema"]
        found = _validators.get(id(schema))
        if found is None:
            found = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
            _validators[id(schema)] = found
        found.validate(response.json)
