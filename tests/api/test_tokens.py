"""Who may call what is under /admin."""

from __future__ import annotations

import logging

import pytest
from webtest import TestApp

from scoresvc import tokens
from scoresvc.actions import BanUser, EndToken, RemoveScore, SetLevel, Token
from scoresvc.api.admin_calls import ADMIN_CALLS
from scoresvc.api.call import Call
from scoresvc.api.dispatch import Api
from scoresvc.config import Config, HttpOptions
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store
from tests.api.operators import JSON, Operator, add_token, body_of, path_of
from tests.conftest import Clock, Query, high_scores

names = [call.name for call in ADMIN_CALLS]
of_one_level = [call for call in ADMIN_CALLS if "<levelid>" in call.path or "<submission>" in call.path]
of_all_levels = [call for call in ADMIN_CALLS if "<userid>" in call.path and "<levelid>" not in call.path]


@pytest.fixture(autouse=True)
def _score(store: Store) -> None:
    """Submission 1 and action 1; action 2 comes with the first token."""
    store.scores.post(2, 131, 1500).result()
    store.admin.perform("shell", BanUser(9)).result()


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_without_any_token_in_the_database_no_path_under_admin_exists(app: TestApp, call: Call) -> None:
    unknown = app.get("/nothing", status=404)

    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        for token in ("", "TOKEN"):
            response = Operator(app, token).ask(method, path_of(call), status=404)

            assert response.body == unknown.body
            assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/levels/x", "/admin/users/2.0", "//admin/login"])
def test_nor_does_one_that_is_unknown_or_wrong(app: TestApp, path: str) -> None:
    assert app.get(path, status=404).body == app.get("/nothing", status=404).body


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_a_call_needs_a_token(store: Store, app: TestApp, call: Call) -> None:
    good = add_token(store)

    for token in ("", "NOSUCH", good.lower(), f"{good},{good}"):
        response = Operator(app, token).ask(call.method, path_of(call), body_of(call), 401, **JSON)

        assert response.json["error"]["code"] == "token_needed"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert high_scores(store, 2) == "131=1500"


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_a_token_that_has_expired_is_none(store: Store, app: TestApp, clock: Clock, call: Call) -> None:
    operator = Operator(app, add_token(store, expires_at=int(clock.now + 60) * 1_000_000))
    assert operator.ask("GET", "actions")

    clock.now += 60

    assert operator.refused(call.method, path_of(call), body_of(call), 401) == "token_needed"


def test_a_token_that_has_been_ended_is_none_at_once(store: Store, app: TestApp) -> None:
    add_token(store)
    operator = Operator(app, add_token(store, "read"))
    operator.ask("GET", "actions")

    store.admin.perform("shell", EndToken("read.*")).result()

    assert operator.refused("GET", "actions", status=401) == "token_needed"


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_a_token_does_what_its_right_says_and_nothing_else(store: Store, app: TestApp, call: Call) -> None:
    assert call.token
    others = ",".join(
        right for right in ("read", "moderate", "settings", "server", "metrics") if right != call.token.right
    )
    stranger, operator = Operator(app, add_token(store, others)), Operator(app, add_token(store, call.token.right))
    path, body = path_of(call, action="1"), body_of(call)

    assert stranger.refused(call.method, path, body, 403) == "not_allowed"
    assert call.token.right in stranger.ask(call.method, path, body, 403).text
    operator.ask(call.method, path, body)


@pytest.mark.parametrize("call", of_one_level, ids=lambda call: call.name)
def test_a_token_for_some_levels_acts_on_those(store: Store, app: TestApp, call: Call) -> None:
    stranger, operator = (
        Operator(app, add_token(store, levels="0-1,3-99")),
        Operator(app, add_token(store, levels="1,2")),
    )

    assert stranger.refused(call.method, path_of(call), body_of(call), 403) == "not_allowed"
    operator.ask(call.method, path_of(call), body_of(call))


@pytest.mark.parametrize("call", of_all_levels, ids=lambda call: call.name)
def test_a_token_for_some_levels_does_nothing_to_whole_users(store: Store, app: TestApp, call: Call) -> None:
    operator = Operator(app, add_token(store, levels="0-2147483647"))

    assert operator.refused(call.method, path_of(call), status=403) == "not_allowed"


@pytest.mark.parametrize("path", ["POST login?user=131", "GET actions"])
def test_a_token_for_some_levels_does_nothing_that_is_not_of_one(store: Store, app: TestApp, path: str) -> None:
    operator = Operator(app, add_token(store, levels="2"))

    assert operator.refused(*path.split(" "), status=403) == "not_allowed"


def test_what_does_not_exist_is_refused_as_what_is_of_another_level(store: Store, app: TestApp) -> None:
    operator = Operator(app, add_token(store, levels="2"))

    assert operator.refused("POST", "submissions/99/remove", status=403) == "not_allowed"
    assert operator.refused("POST", "actions/99/undo", status=403) == "not_allowed"


def test_a_token_for_some_levels_undoes_what_was_done_there(store: Store, app: TestApp) -> None:
    store.scores.post(3, 131, 1500).result()
    operator = Operator(app, add_token(store, "moderate", "2"))
    here, there = [store.admin.perform("shell", RemoveScore(level, 131, 0)).result() for level in (2, 3)]
    assert here
    assert there

    operator.ask("POST", f"actions/{here.id}/undo")

    assert operator.refused("POST", f"actions/{there.id}/undo", status=403) == "not_allowed"
    assert operator.refused("POST", "actions/1/undo", status=403) == "not_allowed"  # a ban
    assert (high_scores(store, 2), high_scores(store, 3)) == ("131=1500", "")


def test_to_undo_what_changed_settings_takes_the_right_to_set_them(store: Store, app: TestApp) -> None:
    moderator, setter = Operator(app, add_token(store, "moderate")), Operator(app, add_token(store, "settings"))
    record = store.admin.perform("shell", SetLevel(2, {"min": 5})).result()
    assert record

    assert moderator.refused("POST", f"actions/{record.id}/undo", status=403) == "not_allowed"
    assert setter.refused("POST", "actions/1/undo", status=403) == "not_allowed"
    setter.ask("POST", f"actions/{record.id}/undo")


def test_a_token_comes_in_the_header_alone(store: Store, app: TestApp) -> None:
    token = add_token(store)

    for query in (f"token={token}", f"sessionkey={token}"):
        assert Operator(app, "").refused("GET", f"actions?{query}", status=401) == "token_needed"
        assert Operator(app, token).refused("GET", f"actions?{query}") == "unknown_parameter"
    app.get("/admin/actions", headers={"Authorization": f"Basic {token}"}, status=401)


def test_a_session_key_is_no_token_and_a_token_is_no_session_key(store: Store, app: TestApp, key: str) -> None:
    token = add_token(store)

    assert Operator(app, key).refused("GET", "actions", status=401) == "token_needed"
    app.post("/2/score", "1", headers={"Authorization": f"Bearer {token}"}, status=401)


def test_the_metrics_are_for_a_token_with_that_right(store: Store) -> None:
    app = TestApp(Application(Api(store)))
    good, bad = add_token(store, "metrics"), add_token(store, "read,moderate,settings,server")

    assert app.get("/metrics", headers={"Authorization": f"Bearer {good}"}).text.startswith("# HELP")
    refusal = app.get("/metrics", headers={"Authorization": f"Bearer {bad}", **JSON}, status=403)
    assert refusal.json["error"]["code"] == "not_allowed"
    for headers in ({}, {"Authorization": "Bearer NOSUCH"}):
        assert (
            app.get("/metrics", headers={**headers, **JSON}, status=401).json["error"]["code"] == "metrics_not_public"
        )


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
@pytest.mark.parametrize("origins", [("*",), ("https://game.example",)])
def test_nothing_under_admin_is_cross_origin(store: Store, call: Call, origins: tuple[str, ...]) -> None:
    app = TestApp(Application(Api(store, Config(http=HttpOptions(origins=origins)))))
    page = {"Origin": "https://game.example", "Access-Control-Request-Method": call.method}
    answers = [Operator(app, "").ask(call.method, path_of(call), status=404, **page)]
    operator = Operator(app, add_token(store))
    answers += [
        operator.ask(call.method, path_of(call, action="1"), body_of(call), **page),
        operator.ask(call.method, path_of(call) + "&x=1", body_of(call), status="*", **page),
        operator.ask("PATCH", path_of(call), status=405, **page),
        operator.ask("OPTIONS", path_of(call), status=204, **page),
        operator.ask("GET", "nothing", status=404, **page),
        Operator(app, "").ask(call.method, path_of(call), body_of(call), status=401, **page),
        app.get(f"//admin/{path_of(call)}", headers=page, status="*"),
    ]

    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert answer.headers["Vary"] == "Accept"


def test_no_log_and_no_table_has_a_token(
    store: Store, app: TestApp, caplog: pytest.LogCaptureFixture, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = add_token(store)
    operator = Operator(app, token)
    with caplog.at_level(logging.DEBUG):
        operator.ask("GET", "actions")
        operator.ask("POST", "submissions/1/remove")
        operator.ask("GET", f"actions/{token}", status=404)
        monkeypatch.setattr("scoresvc.api.authorization.allows_right", None)  # a bug
        operator.ask("GET", "actions", status=500)

    assert "Traceback" in caplog.text
    assert token not in caplog.text
    for table in ("tokens", "actions"):
        assert token not in repr(query(f"SELECT * FROM {table}"))
    assert token not in operator_answers(store)


def operator_answers(store: Store) -> str:
    return repr((store.admin.actions(100, None), store.admin.tokens()))


@pytest.mark.parametrize(
    ("levels", "inside", "outside"),
    [("*", (0, 2147483647), ()), ("7", (7,), (6, 8, 77)), ("100-199,7", (7, 100, 150, 199), (8, 99, 200))],
)
def test_the_levels_of_a_token_are_numbers_and_ranges(
    levels: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    token = Token("ann", ("read",), tokens.read_levels(levels), None)

    assert [level for level in (*inside, *outside) if tokens.allows_level(token, level)] == list(inside)
    assert tokens.allows_level(token, None) == (levels == "*")


@pytest.mark.parametrize("levels", ["", "x", "7,", "9-7", "-7", "7-", "1-2-3", "2147483648", "*,7", " 7", "\u0667"])
def test_levels_that_are_none_are_refused(levels: str) -> None:
    with pytest.raises(ValueError, match="such as 7 or 100-199"):
        tokens.read_levels(levels)


@pytest.mark.parametrize("rights", ["", "write", "read,", "read moderate", "READ"])
def test_rights_that_are_none_are_refused(rights: str) -> None:
    with pytest.raises(ValueError, match="read, moderate"):
        tokens.read_rights(rights)


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 65, "ä"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        tokens.read_name(name)
