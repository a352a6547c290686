from __future__ import annotations

import pytest

from scoresvc.api.negotiation import prefers_json


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/*",
        "application/json, text/plain;q=0.9",
        "text/plain;q=0.5,application/json;q=0.6",
        "application/json, */*;q=0.5",
        "application/json;q=0.001, text/html",
        "*/*;q=0.5, application/json ; Q=0.7",
        "*/*, text/*;q=0.2",
        "application/json, text/plain;q=0, text/csv;q=0",
        ",, application/json",
        "text/plain;q=2, application/json;q=0.1",
        "application/json, text/plain, */*",
        "application/json, text/plain",
        "application/json, text/csv",
        "application/json, */*",
        "application/json;q=0.5, */*;q=0.5",
        "application/json;q=0.5, text/plain;q=0.500",
        "application/json, text/javascript, */*; q=0.01",
        "text/html, application/json, */*",
        "application/*, application/json, text/plain",
        "application/json, text/*, application/*",
        "application/*, */*;q=0.9",
    ],
)
def test_json_is_chosen_where_it_is_preferred(accept: str) -> None:
    assert prefers_json(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "text/plain",
        "text/csv",
        "text/plain, application/json",
        "text/csv, */*, application/json",
        "text/*, application/json",
        "*/*, application/json",
        "application/*, */*",
        "application/*, text/plain, application/json",
        "application/json;q=0, */*;q=0",
        "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
        "application/json;q=0.5, text/*",
        "application/json;q=0.5, */*",
        "application/json;q=0",
        "application/json;q=0, */*;q=0.1",
        "*/*, application/json;q=0.9",
        "text/plain;q=0.500, application/json;q=0.5",
        "application/jsonx",
        "json",
        "application/json;q=1.001",
        "application/json;q=x",
        "application/json;q=",
        ";q=1",
        "\xff,\0;;=,",
    ],
)
def test_plain_text_is_chosen_where_json_is_not_preferred(accept: str) -> None:
    assert not prefers_json(accept)
