"""What a post may have besides its score: an idempotency key, a text of the game, a name."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from webtest import TestApp

from scoresvc.actions import SetLevel
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, HistoryOptions
from scoresvc.storage import Store, open_store
from tests.api.operators import Operator, add_token
from tests.api.test_users import JSON, code_of, open_app
from tests.conftest import Clock, Query

DAY = 24 * 3600
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def summing(store: Store) -> None:
    """On level 2 the sum counts: there it shows when a post counts twice."""
    store.admin.perform("test", SetLevel(2, {"keep": "sum"})).result()


def post(app: TestApp, key: str, score: int = 10, level: int = 2, **headers: str) -> Any:
    path = f"/{level}/score?sessionkey={key}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.post(path, str(score), headers=named, expect_errors=True)


def test_a_post_with_a_key_counts_once(app: TestApp, key: str, summing: None) -> None:
    first, again = (post(app, key, Idempotency_Key="a-1", **JSON) for _ in range(2))

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json == {"improved": True, "best": 10, "previous": None, "rank": 1, "players": 1}
    assert app.get("/2/highscorelist").text == "4711=10"


def test_the_answer_is_that_of_the_first_time_whatever_came_since(app: TestApp, key: str, summing: None) -> None:
    first = post(app, key, Idempotency_Key="a", **JSON)
    post(app, key)

    again = post(app, key, Idempotency_Key="a", **JSON)

    assert again.json == first.json
    assert app.get("/2/highscorelist").text == "4711=20"


def test_a_post_that_is_replayed_as_text_says_so_too(app: TestApp, key: str, summing: None) -> None:
    post(app, key, Idempotency_Key="a")
    again = post(app, key, Idempotency_Key="a")

    assert (again.status_int, again.text, again.headers["Idempotent-Replayed"]) == (200, "", "true")
    assert post(app, key, Idempotency_Key="a", **JSON).json["best"] == 10


@pytest.mark.parametrize(
    ("query", "body", "headers"),
    [
        ("", "10", {"Idempotency-Key": "k"}),
        ("", "10", {"Idempotency-Key": '"k"'}),
        ("&id=k", "10", {}),
        ("", "score=10&id=k", FORM),
        ("", '{"score": 10, "id": "k"}', {"Content-Type": "application/json"}),
    ],
)
def test_a_key_comes_in_a_header_the_query_or_the_body(
    app: TestApp, key: str, summing: None, query: str, body: str, headers: dict[str, str]
) -> None:
    post(app, key, Idempotency_Key="k")

    again = app.post(f"/2/score?sessionkey={key}{query}", body, headers=headers)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert app.get("/2/highscorelist").text == "4711=10"


def test_a_key_comes_with_a_get_that_posts(app: TestApp, key: str, summing: None) -> None:
    for _ in range(2):
        app.get(f"/2/score/10?sessionkey={key}&id=k")

    assert app.get("/2/highscorelist").text == "4711=10"


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "ä", '"', '""', "a/b"])
def test_a_key_that_is_none_is_refused_and_nothing_stored(app: TestApp, key: str, text: str) -> None:
    headers = {"Idempotency-Key": text.encode().decode("latin-1"), **JSON}
    assert code_of(app.post(f"/2/score?sessionkey={key}", "10", headers=headers, status=400)) == (400, "bad_value")
    assert app.get("/2/highscorelist").text == ""


def test_a_key_comes_once(app: TestApp, key: str) -> None:
    for body, headers in (("10", {"Idempotency-Key": "k"}), ("score=10&id=k", FORM)):
        response = app.post(f"/2/score?sessionkey={key}&id=k", body, headers={**headers, **JSON}, status=400)
        assert code_of(response) == (400, "repeated_parameter")


@pytest.mark.parametrize(("score", "level"), [(11, 2), (10, 3)])
def test_a_key_for_another_post_is_refused(app: TestApp, key: str, summing: None, score: int, level: int) -> None:
    post(app, key, Idempotency_Key="k")

    assert code_of(post(app, key, score, level, Idempotency_Key="k", **JSON)) == (422, "key_reused")
    assert app.get("/2/highscorelist").text == "4711=10"
    assert app.get("/3/highscorelist").text == ""


def test_each_user_has_keys_of_its_own(app: TestApp, key: str, summing: None) -> None:
    other = app.get("/131/login").text
    for each in (key, other):
        assert "Idempotent-Replayed" not in post(app, each, Idempotency_Key="k").headers

    assert app.get("/2/highscorelist").text == "4711=10,131=10"


def test_a_key_of_another_session_of_the_user_is_the_same(app: TestApp, key: str, summing: None) -> None:
    post(app, key, Idempotency_Key="k")

    assert post(app, app.get("/4711/login").text, Idempotency_Key="k").headers["Idempotent-Replayed"] == "true"


def test_a_key_is_good_for_a_day(app: TestApp, clock: Clock, summing: None) -> None:
    def post_now() -> Any:
        return post(app, app.get("/4711/login").text, Idempotency_Key="k")

    post_now()
    clock.now += DAY - 1
    assert "Idempotent-Replayed" in post_now().headers
    clock.now += 1
    assert "Idempotent-Replayed" not in post_now().headers
    assert "Idempotent-Replayed" in post_now().headers
    assert app.get("/2/highscorelist").text == "4711=20"


def test_old_keys_are_purged(store: Store, app: TestApp, key: str, clock: Clock, query: Query) -> None:
    for number in range(5):
        post(app, key, Idempotency_Key=f"old-{number}")
    clock.now += DAY
    new = app.get("/4711/login").text
    post(app, new, Idempotency_Key="new")

    assert [store.scores.delete_old_keys(3) for _ in range(3)] == [3, 2, 0]
    assert query("SELECT key FROM keyed_posts") == [("new",)]


def test_a_key_outlives_a_restart(settings: Config) -> None:
    for replayed in (False, True):
        with closing(open_store(settings, counted=NAMES)) as store:
            app = open_app(store, settings)
            response = post(app, app.get("/4711/login").text, Idempotency_Key="k")
            assert ("Idempotent-Replayed" in response.headers) == replayed


def test_a_refused_post_leaves_its_key_free(app: TestApp, store: Store, key: str) -> None:
    operator = Operator(app, add_token(store))
    operator.ask("PUT", "levels/2?max=5")
    assert post(app, key, 10, Idempotency_Key="k").status_int == 422
    operator.ask("PUT", "levels/2?max=")

    assert "Idempotent-Replayed" not in post(app, key, 10, Idempotency_Key="k").headers


@pytest.mark.parametrize("setting", ["max=5", "pace=1", "posts=server"])
def test_what_a_level_refuses_now_is_answered_where_it_was_stored_before(
    app: TestApp, store: Store, key: str, setting: str
) -> None:
    first = post(app, key, Idempotency_Key="k", **JSON)
    Operator(app, add_token(store)).ask("PUT", f"levels/2?{setting}")

    again = post(app, app.get("/4711/login").text, Idempotency_Key="k", **JSON)

    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert post(app, key, Idempotency_Key="other").status_int in (403, 422)
    assert code_of(post(app, key, 11, Idempotency_Key="k", **JSON)) == (422, "key_reused")


def test_the_games_own_server_sends_keys_too(app: TestApp, store: Store, summing: None) -> None:
    operator = Operator(app, add_token(store))
    answers = [operator.ask("POST", "levels/2/score?user=7&id=k", "10", Content_Type="text/plain") for _ in range(2)]

    assert ["Idempotent-Replayed" in answer.headers for answer in answers] == [False, True]
    assert app.get("/2/highscorelist").text == "7=10"


def test_a_held_score_is_answered_as_before(settings: Config, clock: Clock) -> None:
    settings = replace(settings, history=HistoryOptions(tell_held=True))
    with closing(open_store(settings, clock, NAMES)) as store:
        store.admin.perform("test", SetLevel(2, {"hold": 100})).result()
        app = open_app(store, settings)
        key = app.get("/7/login").text

        answers = [post(app, key, 150, Idempotency_Key="k", **JSON).json for _ in range(2)]

        assert answers[0] == answers[1]
        assert answers[0]["held"] is True


def test_periods_are_answered_as_before(app: TestApp, store: Store, key: str) -> None:
    store.admin.perform("test", SetLevel(2, {"periods": ("day", "month")})).result()

    answers = [post(app, key, Idempotency_Key="k", **JSON).json for _ in range(2)]

    assert answers[0] == answers[1]
    assert len(answers[0]["periods"]) == 2


def metas_on(app: TestApp, path: str = "/2/highscorelist?meta=yes") -> list[str | None]:
    return [each["meta"] for each in app.get(path, headers=JSON).json["entries"]]


@pytest.mark.parametrize(
    ("query", "body", "headers"),
    [
        ("&meta=ship%3D%E2%98%85", "10", {}),
        ("", "score=10&meta=ship%3D%E2%98%85", FORM),
        ("", '{"score": 10, "meta": "ship=★"}', {"Content-Type": "application/json"}),
        ("&id=k&meta=ship%3D%E2%98%85", "10", {}),
        ("&meta=ship%3D%E2%98%85", "10", JSON),
    ],
)
def test_a_text_comes_with_a_score_and_shows_where_it_is_asked_for(
    app: TestApp, store: Store, key: str, query: str, body: str, headers: dict[str, str]
) -> None:
    app.post(f"/2/score?sessionkey={key}{query}", body.encode(), headers=headers)

    assert metas_on(app) == ["ship=★"]
    assert (
        metas_on(app, "/2/around/4711?meta=yes") == metas_on(app, "/2/highscorelist?users=4711&meta=yes") == ["ship=★"]
    )
    assert "meta" not in app.get("/2/highscorelist", headers=JSON).text
    assert app.get("/2/highscorelist?meta=yes").text == "4711=10"
    (submission,) = Operator(app, add_token(store)).ask_json("GET", "levels/2/submissions")["submissions"]
    assert submission["meta"] == "ship=★"


def test_a_text_belongs_to_its_submission(app: TestApp, store: Store, key: str, clock: Clock) -> None:
    operator = Operator(app, add_token(store))
    store.admin.perform("test", SetLevel(2, {"periods": ("day",)})).result()
    for score, meta in ((10, "&meta=ten"), (30, "&meta=thirty"), (20, "&meta=twenty"), (30, "&meta=again")):
        app.post(f"/2/score?sessionkey={key}{meta}", str(score))
        clock.now += 1

    assert metas_on(app) == metas_on(app, "/2/highscorelist?meta=yes&period=day") == ["thirty"]
    operator.ask("DELETE", "levels/2/scores/4711")
    assert metas_on(app) == ["again"]
    number = operator.ask("DELETE", "levels/2/scores/4711").text
    assert metas_on(app) == metas_on(app, "/2/highscorelist?meta=yes&period=day") == ["twenty"]
    operator.ask("POST", f"actions/{number}/undo")
    assert metas_on(app) == ["again"]


def test_a_score_without_a_text_has_none(app: TestApp, key: str) -> None:
    post(app, key)
    other = app.get("/131/login").text
    app.post(f"/2/score?sessionkey={other}&meta=", "9")

    assert metas_on(app) == [None, None]


@pytest.mark.parametrize("meta", ["x" * 257, "é" * 128 + "x", "a\nb", "a\x7fb", "a\x85b"])
def test_a_text_that_is_too_long_or_has_control_characters_is_refused(app: TestApp, key: str, meta: str) -> None:
    body = {"score": 10, "meta": meta}

    response = app.post_json(f"/2/score?sessionkey={key}", body, headers=JSON, status=400)

    assert response.json["error"] == {
        "code": "bad_value",
        "message": "meta must be at most 256 bytes of UTF-8 without control characters",
    }
    assert app.get("/2/highscorelist").text == ""


@pytest.mark.parametrize("meta", ['{"x": 1}', "[1]", "true", '"\\ud800"'])
def test_a_text_that_is_none_is_refused(app: TestApp, key: str, meta: str) -> None:
    response = app.post(
        f"/2/score?sessionkey={key}",
        f'{{"score": 10, "meta": {meta}}}',
        headers={"Content-Type": "application/json"},
        status=400,
    )

    assert "meta must be" in response.text


def test_the_longest_texts_are_taken(app: TestApp, key: str) -> None:
    for number, meta in enumerate(("x" * 256, "é" * 128, "𐍈" * 64)):
        app.post_json(
            f"/{number}/score?sessionkey={key}", {"score": 10, "meta": meta, "id": "a" * 64 if number else "b"}
        )
        assert metas_on(app, f"/{number}/highscorelist?meta=yes") == [meta]
        key = app.get("/4711/login").text
        app.get("/levels")
        if number:
            break


def test_a_name_comes_with_a_post(app: TestApp, key: str) -> None:
    app.post(f"/2/score?sessionkey={key}&name=Ann", "10")
    assert app.get("/4711/name").text == "Ann"
    app.post_json(f"/2/score?sessionkey={key}", {"score": 20, "name": "Ann"})
    app.post(f"/2/score?sessionkey={key}", "score=30&name=Bob", headers=FORM)

    assert app.get("/2/highscorelist?format=lines").text == "1\t4711\t30\tBob\n"


def test_a_post_with_a_name_that_is_wrong_is_not_stored(app: TestApp, key: str) -> None:
    response = app.post(f"/2/score?sessionkey={key}&name=12", "10", headers=JSON, status=400)

    assert code_of(response) == (400, "bad_name")
    assert app.get("/2/highscorelist").text == ""


@pytest.mark.parametrize("details", ["name=Ann", "name=Ann&id=k"])
def test_a_post_with_a_name_that_is_taken_is_not_stored(settings: Config, details: str) -> None:
    settings = replace(settings, users=replace(settings.users, unique_names=True))
    with closing(open_store(settings, counted=NAMES)) as store:
        app = open_app(store, settings)
        app.get("/7/login?name=Ann")
        key = app.get("/8/login").text

        response = app.post(f"/2/score?sessionkey={key}&{details}", "10", headers=JSON, expect_errors=True)

        assert code_of(response) == (409, "name_taken")
        assert app.get("/2/highscorelist").text == ""
        again = app.post(f"/2/score?sessionkey={key}&{details.replace('Ann', 'Bob')}", "10")
        assert "Idempotent-Replayed" not in again.headers
