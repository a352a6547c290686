"""A list that a client has already is not sent again."""

from __future__ import annotations

import pytest
from webtest import TestApp

from scoresvc.api.etags import matches

JSON = {"Accept": "application/json"}
PATHS = ("/2/highscorelist", "/2/highscorelist?limit=3", "/2/around/4711", "/2/rank/4711", "/4711/scores", "/")


@pytest.fixture(autouse=True)
def _score(app: TestApp, key: str) -> None:
    app.post(f"/2/score?sessionkey={key}", "1500")


@pytest.mark.parametrize("headers", [{}, JSON])
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_the_client_has_is_not_sent_again(app: TestApp, path: str, headers: dict[str, str]) -> None:
    first = app.get(path, headers=headers)
    second = app.get(path, headers={**headers, "If-None-Match": first.headers["ETag"]}, status=304)

    assert second.body == b""
    assert "Content-Type" not in second.headers
    for name in ("ETag", "Vary", "Cache-Control", "Access-Control-Allow-Origin"):
        assert second.headers[name] == first.headers[name]
    assert first.headers["Cache-Control"] == "no-cache"
    assert app.head(path, headers=headers).headers["ETag"] == first.headers["ETag"]


def test_a_changed_list_has_another_tag(app: TestApp, key: str) -> None:
    tag = app.get("/2/highscorelist").headers["ETag"]

    app.post(f"/2/score?sessionkey={key}", "1501")

    assert app.get("/2/highscorelist", headers={"If-None-Match": tag}).text == "4711=1501"


def test_each_form_of_an_answer_has_its_own_tag(app: TestApp) -> None:
    plain = app.get("/2/highscorelist").headers["ETag"]

    assert app.get("/2/highscorelist", headers={**JSON, "If-None-Match": plain}).status_int == 200


def test_logins_posts_and_refusals_have_no_tag(app: TestApp, key: str) -> None:
    responses = [
        app.get("/4711/login"),
        app.post(f"/2/score?sessionkey={key}", "1"),
        app.get("/9/rank/9", headers={"If-None-Match": "*"}, status=404),
        app.get("/x", headers={"If-None-Match": "*"}, status=404),
    ]

    assert not [response for response in responses if "ETag" in response.headers]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b",W/"a"', True),
        ("*", True),
        (" * ", True),
        ('"b"', False),
        ("a", False),
        ('"a', False),
        ("", False),
    ],
)
def test_any_of_the_tags_that_are_sent_may_match(sent: str, expected: bool) -> None:
    assert matches(sent, '"a"') is expected
