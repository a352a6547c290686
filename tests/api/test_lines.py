"""Lists as lines, for engines that split text more easily than they read JSON; posts by GET, for those without POST."""

from __future__ import annotations

import pytest
from webtest import TestApp

from scoresvc.api.dispatch import Api
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store

LINES = "1\t7\t1500\t\n1\t8\t1500\t\n3\t9\t20\t\n"


@pytest.fixture(autouse=True)
def _scores(store: Store) -> None:
    for user_id, score in ((7, 1500), (8, 1500), (9, 20)):
        store.scores.post(2, user_id, score).result()


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_a_list_as_lines_has_rank_user_score_and_name(app: TestApp, accept: str) -> None:
    response = app.get("/2/highscorelist?format=lines", headers={"Accept": accept})

    assert (response.text, response.headers["Content-Type"]) == (LINES, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/3/highscorelist?format=lines", ""),
        ("/2/highscorelist?limit=1&format=lines", "1\t7\t1500\t\n"),
        ("/2/highscorelist?users=9&format=lines", "3\t9\t20\t\n"),
        ("/2/around/9?format=lines&count=2", "1\t8\t1500\t\n3\t9\t20\t\n"),
    ],
)
def test_every_list_can_be_had_as_lines(app: TestApp, path: str, text: str) -> None:
    assert app.get(path).text == text


@pytest.mark.parametrize("word", ["", "json", "LINES", "csv"])
def test_another_format_is_refused(app: TestApp, word: str) -> None:
    assert "format must be lines" in app.get(f"/2/highscorelist?format={word}", status=400).text


def test_what_is_no_list_has_no_format(app: TestApp) -> None:
    assert "does not take" in app.get("/2/rank/7?format=lines", status=400).text


def test_a_get_posts_where_that_is_switched_on(app: TestApp, key: str) -> None:
    response = app.get(f"/5/score/1500?sessionkey={key}")

    assert (response.text, response.headers["Cache-Control"]) == ("", "no-store")
    assert "ETag" not in response.headers
    assert app.get("/5/highscorelist").text == "4711=1500"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/5/score/2147483648?sessionkey=K", 400), ("/5/score/x?sessionkey=K", 404), ("/5/score/1", 401)],
)
def test_a_get_that_posts_is_checked_like_a_post(app: TestApp, key: str, path: str, status: int) -> None:
    app.get(path.replace("K", key), status=status)

    assert app.get("/5/highscorelist").text == ""


def test_a_get_posts_nothing_by_default(store: Store, key: str) -> None:
    app = TestApp(Application(Api(store)))

    assert "no such path" in app.get(f"/5/score/1500?sessionkey={key}", status=404).text
    assert app.get("/5/highscorelist").text == ""
