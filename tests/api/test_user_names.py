"""Names of users: how they are given, and where they show."""
# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from webtest import TestApp

from scoresvc.actions import SetLevel
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, UserOptions
from scoresvc.errors import StartError
from scoresvc.storage import Store, open_store
from tests.api.operators import Operator, add_token
from tests.api.test_users import JSON, ask, code_of, open_app
from tests.conftest import Clock


def put_name(app: TestApp, key: str, name: str, user: int = 4711, **headers: str) -> Any:
    headers.setdefault("Content-Type", "text/plain")
    path = f"/{user}/name?sessionkey={key}"
    return app.put(path, name.encode("utf-8", "surrogatepass"), headers=headers, expect_errors=True)


def names_on(app: TestApp, path: str) -> list[str | None]:
    return [each["name"] for each in app.get(path, headers=JSON).json["entries"]]


def test_a_user_without_a_name_has_none(app: TestApp) -> None:
    assert app.get("/4711/name").text == ""
    assert app.get("/4711/name", headers=JSON).json == {"user": 4711, "name": None}


def test_a_name_is_given_read_and_taken_away(app: TestApp, key: str) -> None:
    assert put_name(app, key, "  Ann  of  Green\u2003Gables ").text == "Ann of Green Gables"
    assert app.get("/4711/name").text == "Ann of Green Gables"

    assert app.delete(f"/4711/name?sessionkey={key}").text == ""
    assert app.get("/4711/name").text == ""


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "Jörg"),
        ("application/json", '"Jörg"'),
        ("application/json", json.dumps({"name": "Jörg"})),
        ("application/x-www-form-urlencoded", f"name={quote('Jörg')}"),
        ("application/x-www-form-urlencoded", quote("Jörg")),
        ("application/x-www-form-urlencoded", "Jörg"),
        ("text/plain", "Jo\u0308rg"),  # as macOS and Korean keyboards write it
    ],
)
def test_a_name_comes_in_every_form_of_a_body(app: TestApp, key: str, content_type: str, body: str) -> None:
    assert put_name(app, key, body, **{"Content-Type": content_type}).text == "Jörg"


@pytest.mark.parametrize("body", ["name=Ann", ' {"name": "Ann"}'])
def test_a_form_without_its_type_is_no_name(app: TestApp, key: str, body: str) -> None:
    """As `fetch` of browsers sends a text."""
    response = put_name(app, key, body, **{"Content-Type": "text/plain;charset=UTF-8"})

    assert (response.status_int, response.text) == (
        400,
        "the body is not a form or JSON, or its Content-Type does not say so; send a form or a JSON object with: name,"
        " sessionkey",
    )


def test_a_name_goes_as_json_too(app: TestApp, key: str) -> None:
    assert put_name(app, key, "Ann", **JSON).json == {"user": 4711, "name": "Ann"}
    assert app.delete(f"/4711/name?sessionkey={key}", headers=JSON).json == {"user": 4711, "name": None}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must be 1 to 24 characters"),
        (" \u3000\t", "must be 1 to 24 characters"),
        ("x" * 25, "must be 1 to 24 characters"),
        ("𐍈" * 24 + "x", "must be 1 to 24 characters"),
        ("12345", "must not be digits alone"),
        ("１２", "must not be digits alone"),
        ("evil\u202egnp", "must not have characters that turn the direction of writing"),
        ("a\u200bb", "must not have invisible characters"),
        ("a\nb", "must not have line ends"),
        ("a\x07b", "must not have control characters"),
        ("e" + "\u0301" * 4, "must not have more than 2 marks on a letter"),
        ("\ue000", "must not have private characters"),
    ],
)
def test_a_name_that_breaks_a_rule_is_refused_with_the_rule(app: TestApp, key: str, name: str, rule: str) -> None:
    response = put_name(app, key, name)

    assert (response.status_int, response.text) == (400, f"the name {rule}")
    assert code_of(put_name(app, key, name, **JSON)) == (400, "bad_name")
    assert app.get("/4711/name").text == ""


@pytest.mark.parametrize(
    "name", ["null", "None", "undefined", "🇩🇪", "👩\u200d🚀", "한글", "สวัสดี", "مريم", "Zoë", "O'Neil"]
)
def test_a_name_may_be_in_any_script(app: TestApp, key: str, name: str) -> None:
    put_name(app, key, name)
    app.post(f"/2/score?sessionkey={key}", "1500")

    assert app.get("/4711/name").text == name
    assert names_on(app, "/2/highscorelist") == [name]
    assert app.get("/2/highscorelist?format=lines").text == f"1\t4711\t1500\t{name}\n"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_nobody_else_names_a_user(app: TestApp, key: str, method: str) -> None:
    for query in ("", "?sessionkey=x"):
        assert code_of(app.request(f"/4711/name{query}", method=method, body=b"Ann", headers=JSON, status=401))
    other = app.request(f"/131/name?sessionkey={key}", method=method, body=b"Ann", headers=JSON, status=401)
    assert code_of(other) == (401, "unauthorized")


def test_a_name_comes_with_a_new_user_a_login_and_a_post(app: TestApp) -> None:
    new = app.post("/new", "name=Ann", headers=JSON).json
    assert new["name"] == "Ann"
    assert app.get(f"/{new['user']}/name").text == "Ann"
    assert app.post_json("/new", {"name": "Bob", "device": {"os": "x"}}, headers=JSON).json["name"] == "Bob"
    assert app.post("/new?name=Cat", headers=JSON).json["name"] == "Cat"

    app.get("/7/login?name=Dan")
    assert app.get("/7/name").text == "Dan"
    app.get("/7/login?name=Dan")
    app.get("/7/login?name=")
    assert app.get("/7/name").text == "Dan"


def test_a_name_that_is_wrong_begins_no_session(app: TestApp) -> None:
    assert code_of(ask(app, "GET", "/7/login?name=12")) == (400, "bad_name")
    assert code_of(ask(app, "POST", "/new?name=12")) == (400, "bad_name")


def test_names_show_wherever_entries_do(app: TestApp, store: Store, key: str) -> None:
    store.admin.perform("test", SetLevel(2, {"periods": ("day",)})).result()
    put_name(app, key, "Ann")
    app.post(f"/2/score?sessionkey={key}", "1500")
    store.scores.post(2, 131, 1220).result()

    for path in ("?limit=2", "?users=131,4711", "?period=day"):
        assert names_on(app, f"/2/highscorelist{path}") == ["Ann", None]
    assert names_on(app, "/2/around/131") == ["Ann", None]
    assert app.get("/2/periods", headers=JSON).json["periods"][0]["first"]["name"] == "Ann"
    next_page = app.get("/2/highscorelist?limit=1", headers=JSON).json["next"]
    assert names_on(app, f"/2/highscorelist?limit=1&after={next_page}") == [None]


def test_a_board_that_is_cached_shows_a_new_name_at_once(app: TestApp, key: str) -> None:
    app.post(f"/2/score?sessionkey={key}", "1500")
    for name in ("Ann", "Bob"):
        put_name(app, key, name)
        assert names_on(app, "/2/highscorelist") == [name]
    app.delete(f"/4711/name?sessionkey={key}")
    assert names_on(app, "/2/highscorelist") == [None]
    app.get("/4711/login?name=Cat")
    assert names_on(app, "/2/highscorelist") == ["Cat"]


@pytest.mark.parametrize("hide", ["no", "yes"])
def test_the_name_of_a_banned_user_shows_nowhere(app: TestApp, store: Store, key: str, hide: str) -> None:
    operator = Operator(app, add_token(store))
    put_name(app, key, "Ann")
    app.post(f"/2/score?sessionkey={key}", "1500")

    operator.ask("POST", f"users/4711/ban?hide={hide}")

    assert app.get("/4711/name").text == ""
    assert "Ann" not in app.get("/2/highscorelist?users=4711", headers=JSON).text
    operator.ask("DELETE", "users/4711/ban")
    assert app.get("/4711/name").text == "Ann"


@pytest.fixture
def unique_app(settings: Config, clock: Clock) -> Iterator[TestApp]:
    """Of a service where no two users have one name."""
    settings = replace(settings, users=UserOptions(unique_names=True))
    with closing(open_store(settings, clock, NAMES)) as store:
        app = open_app(store, settings)
        app.token = add_token(store)
        yield app


@pytest.mark.parametrize("name", ["Ann", "ANN", "ann", "Ánn", "Ａｎｎ", "A n n", "Аnn"])
def test_a_name_that_looks_like_another_users_is_taken(unique_app: TestApp, name: str) -> None:
    unique_app.get("/7/login?name=Ann")
    key = unique_app.get("/8/login").text

    assert code_of(put_name(unique_app, key, name, 8, **JSON)) == (409, "name_taken")
    assert code_of(ask(unique_app, "GET", f"/8/login?name={quote(name)}")) == (409, "name_taken")
    assert code_of(ask(unique_app, "POST", f"/new?name={quote(name)}")) == (409, "name_taken")
    assert unique_app.get("/8/name").text == ""


def test_a_user_writes_a_name_in_another_way(unique_app: TestApp) -> None:
    key = unique_app.get("/7/login?name=Ann").text

    assert put_name(unique_app, key, "ANN", 7).text == "ANN"


def test_a_name_that_was_given_up_is_free(unique_app: TestApp) -> None:
    key = unique_app.get("/7/login?name=Ann").text
    unique_app.delete(f"/7/name?sessionkey={key}")

    assert unique_app.get("/8/login?name=Ann").status_int == 200


def test_by_default_names_are_not_unique(app: TestApp) -> None:
    app.get("/7/login?name=Ann")

    assert app.get("/8/login?name=Ann").status_int == 200


def test_blocked_words_are_in_no_name(settings: Config, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("*badword*\n", encoding="utf-8")
    settings = replace(settings, users=UserOptions(blocked_names=words))
    with closing(open_store(settings, counted=NAMES)) as store:
        app = open_app(store, settings)
        key = app.get("/4711/login").text

        assert put_name(app, key, "B4dw0rd").text == "the name has a word that is not allowed here"
        for method, path in (("GET", "/7/login?name=badword"), ("POST", "/new?name=xBadWordx")):
            assert code_of(ask(app, method, path)) == (400, "bad_name")
        assert put_name(app, key, "Goodword").status_int == 200


def test_a_file_of_blocked_words_that_is_missing_is_told_at_the_start(settings: Config, tmp_path: Path) -> None:
    settings = replace(settings, users=UserOptions(blocked_names=tmp_path / "nothing.txt"))

    with pytest.raises(StartError, match=r"\[users\] blocked_names: .*nothing.txt"):
        open_store(settings)


def test_an_operator_renames_a_user_and_undoes_it(app: TestApp, store: Store, key: str) -> None:
    operator = Operator(app, add_token(store))
    put_name(app, key, "Ann")

    record = operator.ask_json("PUT", "users/4711/name", '{"name": "Bob"}')
    assert (record["kind"], record["before"], record["after"]) == ("rename", {"name": "Ann"}, {"name": "Bob"})
    assert app.get("/4711/name").text == "Bob"

    operator.ask("POST", f"actions/{record['id']}/undo")
    assert app.get("/4711/name").text == "Ann"
    assert operator.ask("PUT", "users/4711/name?name=Ann").text == ""  # nothing to do


def test_a_renaming_is_not_undone_over_a_name_that_the_user_took_since(app: TestApp, store: Store, key: str) -> None:
    operator = Operator(app, add_token(store))
    put_name(app, key, "Ann")
    number = operator.ask("DELETE", "users/4711/name").text
    put_name(app, key, "Cat")

    assert operator.refused("POST", f"actions/{number}/undo", status=409) == "superseded"
    assert app.get("/4711/name").text == "Cat"


def test_an_operator_is_told_of_a_name_that_is_taken(unique_app: TestApp) -> None:
    operator = Operator(unique_app, unique_app.token)
    unique_app.get("/7/login?name=Ann")

    assert operator.refused("PUT", "users/8/name?name=ann", status=409) == "name_taken"
    assert operator.refused("PUT", "users/8/name?name=", status=400) == "bad_name"
