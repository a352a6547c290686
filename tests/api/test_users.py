"""Users: new ones, secrets and who may log in."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from webtest import TestApp

from scoresvc import config
from scoresvc.api.dispatch import DEFAULTS, Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, LimitOptions, UserOptions
from scoresvc.http.wsgi import Application
from scoresvc.rate_limits import Rate
from scoresvc.storage import Store, open_store
from tests.api.operators import Operator, add_token
from tests.conftest import Clock, Query

JSON = {"Accept": "application/json"}
WRONG = "A" * 32


def open_app(store: Store, settings: Config = DEFAULTS) -> TestApp:
    return TestApp(Application(Api(store, settings)), extra_environ={"REMOTE_ADDR": "198.51.100.7"})


def new_user(app: TestApp) -> dict[str, str]:
    return dict(line.split("=") for line in app.post("/new").text.splitlines())


def code_of(response: Any) -> tuple[int, str]:
    return response.status_int, response.json["error"]["code"]


def ask(app: TestApp, method: str, path: str, **headers: str) -> Any:
    return app.request(path, method=method, headers={**JSON, **headers}, expect_errors=True)


def test_a_new_user_gets_a_number_a_secret_and_a_session(app: TestApp) -> None:
    user = new_user(app)

    assert list(user) == ["user", "secret", "sessionkey"]
    assert app.post(f"/2/score?sessionkey={user['sessionkey']}", "1500").status_int == 200
    key = app.get(f"/{user['user']}/login?secret={user['secret']}").text
    assert app.post(f"/2/score?sessionkey={key}", "1600").status_int == 200
    assert app.get("/2/highscorelist").text == f"{user['user']}=1600"


def test_a_new_user_comes_as_json_too(app: TestApp) -> None:
    user = app.post("/new", headers=JSON).json

    assert list(user) == ["user", "name", "secret", "sessionkey", "expires_at"]
    assert user["name"] is None
    assert 0 <= user["user"] <= 2147483647


def test_a_secret_is_stored_as_its_hash_alone(app: TestApp, query: Query) -> None:
    user = new_user(app)

    ((number, secret_hash),) = query("SELECT user_id, secret_hash FROM users")
    assert number == int(user["user"])
    assert len(bytes(secret_hash)) == 32
    assert user["secret"].encode() not in bytes(secret_hash)


def test_new_users_have_numbers_without_an_order(app: TestApp) -> None:
    numbers = [int(app.post("/new").text.split()[0].removeprefix("user=")) for _ in range(10)]

    assert len(set(numbers)) == 10
    assert numbers != sorted(numbers)


def test_by_default_an_address_makes_ten_new_users_an_hour(store: Store) -> None:
    app = open_app(store)

    statuses = [app.post("/new", expect_errors=True).status_int for _ in range(11)]

    assert statuses == [200] * 10 + [429]


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {WRONG}"}])
def test_a_user_with_a_secret_logs_in_with_it_alone(app: TestApp, headers: dict[str, str]) -> None:
    user = new_user(app)

    response = app.get(f"/{user['user']}/login", headers=headers, expect_errors=True)

    assert (response.status_int, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert response.text == "the secret of this user is needed, in ?secret= or Authorization: Bearer"
    assert code_of(ask(app, "GET", f"/{user['user']}/login?secret=")) == (401, "secret_needed")
    right = {"Authorization": f"Bearer {user['secret']}"}
    assert app.get(f"/{user['user']}/login", headers=right).status_int == 200
    assert app.post(f"/{user['user']}/", headers=right).status_int == 200


def test_the_secret_comes_once(app: TestApp) -> None:
    user = new_user(app)
    path = f"/{user['user']}/login?secret={user['secret']}"

    assert code_of(ask(app, "GET", path, Authorization=f"Bearer {user['secret']}")) == (400, "repeated_parameter")


def test_a_secret_for_a_user_without_one_is_ignored(app: TestApp) -> None:
    assert app.get(f"/7/login?secret={WRONG}").status_int == 200


def test_a_user_claims_a_number_once(app: TestApp, key: str) -> None:
    secret = app.post(f"/4711/claim?sessionkey={key}").text

    assert code_of(ask(app, "GET", "/4711/login")) == (401, "secret_needed")
    assert app.get(f"/4711/login?secret={secret}").status_int == 200
    assert code_of(ask(app, "POST", f"/4711/claim?sessionkey={key}")) == (409, "claimed")
    assert app.get("/4712/login").status_int == 200


def test_a_claim_comes_as_json_too(app: TestApp, key: str) -> None:
    claimed = app.post("/4711/claim", headers={**JSON, "Authorization": f"Bearer {key}"}).json

    assert list(claimed) == ["user", "secret"]
    assert app.get(f"/4711/login?secret={claimed['secret']}").status_int == 200


@pytest.mark.parametrize("path", ["/131/claim?sessionkey={key}", "/4711/claim?sessionkey=" + WRONG, "/4711/claim"])
def test_nobody_else_claims_a_number(app: TestApp, key: str, path: str) -> None:
    assert code_of(ask(app, "POST", path.format(key=key))) == (401, "unauthorized")
    assert app.get("/4711/login").status_int == 200


def test_wrong_secrets_are_limited_and_right_ones_never(store: Store, clock: Clock) -> None:
    limits = LimitOptions(wrong_keys_per_address=Rate(2, 60))
    app = TestApp(Application(Api(store, Config(limits=limits), clock)), extra_environ={"REMOTE_ADDR": "198.51.100.7"})
    user = new_user(app)
    wrong = f"/{user['user']}/login?secret={WRONG}"

    assert [ask(app, "GET", wrong).status_int for _ in range(3)] == [401, 401, 429]
    assert app.get(f"/{user['user']}/login?secret={user['secret']}").status_int == 200
    assert ask(app, "GET", f"/{user['user']}/login").status_int == 401  # none is no wrong one


def test_a_user_who_is_banned_is_told_so(app: TestApp, store: Store) -> None:
    user = new_user(app)
    Operator(app, add_token(store)).ask("POST", f"users/{user['user']}/ban")

    for secret in (user["secret"], WRONG):
        assert code_of(ask(app, "GET", f"/{user['user']}/login?secret={secret}")) == (403, "banned")


@pytest.fixture
def claimed_app(settings: Config, clock: Clock) -> Any:
    """Of a service where only users with a secret log in."""
    settings = replace(settings, users=UserOptions(logins="claimed"))
    with closing(open_store(settings, clock, NAMES)) as store:
        yield open_app(store, settings)


def test_with_logins_claimed_no_user_and_a_wrong_secret_are_the_same(claimed_app: TestApp) -> None:
    user = new_user(claimed_app)

    unknown = ask(claimed_app, "GET", f"/7/login?secret={WRONG}")
    wrong = ask(claimed_app, "GET", f"/{user['user']}/login?secret={WRONG}")

    assert code_of(unknown) == (401, "secret_needed")
    assert (unknown.status, unknown.headers, unknown.body) == (wrong.status, wrong.headers, wrong.body)
    assert ask(claimed_app, "GET", "/7/login").body == unknown.body
    assert claimed_app.get(f"/{user['user']}/login?secret={user['secret']}").status_int == 200


def test_with_logins_claimed_guesses_of_numbers_count_as_wrong_keys(claimed_app: TestApp) -> None:
    statuses = [ask(claimed_app, "GET", f"/{number}/login?secret={WRONG}").status_int for number in range(21)]

    assert statuses == [401] * 20 + [429]


def test_with_logins_server_the_games_own_server_alone_logs_users_in(settings: Config, clock: Clock) -> None:
    settings = replace(settings, users=UserOptions(logins="server"))
    with closing(open_store(settings, clock, NAMES)) as store:
        app = open_app(store, settings)
        operator = Operator(app, add_token(store, "server"))

        assert code_of(ask(app, "GET", "/7/login")) == (403, "server_only")
        assert code_of(ask(app, "POST", "/new")) == (403, "server_only")
        key = operator.ask("POST", "login?user=7").text
        assert app.post(f"/2/score?sessionkey={key}", "1500").status_int == 200


def test_the_games_own_server_needs_no_secret(app: TestApp, store: Store) -> None:
    user = new_user(app)

    assert Operator(app, add_token(store, "server")).ask("POST", f"login?user={user['user']}").status_int == 200


def test_a_text_of_the_games_own_server_gets_a_number_once(app: TestApp, store: Store) -> None:
    operator = Operator(app, add_token(store))

    first, again = (operator.ask_json("POST", "login", '{"external": "steam:76561 é"}') for _ in range(2))
    other = operator.ask_json("POST", "login", '{"external": "steam:76562"}')

    assert first["user"] == again["user"] != other["user"]
    assert first["sessionkey"] != again["sessionkey"]
    assert operator.ask_json("GET", f"users/{first['user']}")["external"] == "steam:76561 é"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad_number"),
        ("?user=7&external=x", "conflicting_parameters"),
        ("?external=", "bad_value"),
        ("?external=" + "x" * 129, "bad_value"),
        ("?external=a%00b", "bad_value"),
        ("?external=%ff", "bad_value"),
    ],
)
def test_a_login_for_nobody_or_for_two_is_refused(app: TestApp, store: Store, query: str, code: str) -> None:
    assert Operator(app, add_token(store)).refused("POST", f"login{query}") == code


def test_a_banned_user_is_not_logged_in_by_a_text_either(app: TestApp, store: Store) -> None:
    operator = Operator(app, add_token(store))
    user = operator.ask_json("POST", "login?external=x")["user"]
    operator.ask("POST", f"users/{user}/ban")

    assert operator.refused("POST", "login?external=x", status=403) == "banned"


def test_an_operator_lets_a_number_be_claimed_again(app: TestApp, store: Store) -> None:
    operator = Operator(app, add_token(store))
    user = new_user(app)

    operator.ask("DELETE", f"users/{user['user']}/secret")

    stolen = ask(app, "POST", f"/{user['user']}/claim?sessionkey={user['sessionkey']}")
    assert code_of(stolen) == (401, "unauthorized")  # the sessions of before have ended
    key = app.get(f"/{user['user']}/login").text
    assert app.post(f"/{user['user']}/claim?sessionkey={key}").text != user["secret"]
    assert operator.ask("DELETE", "users/7/secret").text == ""
    assert operator.refused("POST", "actions/2/undo", status=410) == "gone"


def test_an_erased_user_is_unknown_again(app: TestApp, store: Store) -> None:
    operator = Operator(app, add_token(store))
    user = new_user(app)
    assert operator.ask_json("GET", f"users/{user['user']}")["claimed"]

    operator.ask("DELETE", f"users/{user['user']}")

    assert app.get(f"/{user['user']}/login").status_int == 200
    record = operator.ask_json("GET", f"users/{user['user']}")
    assert [record[name] for name in ("name", "claimed", "external")] == [None, False, None]


@pytest.mark.parametrize(("method", "path"), [("POST", "/new"), ("POST", "/7/claim"), ("PUT", "/7/name")])
def test_browsers_may_ask(app: TestApp, method: str, path: str) -> None:
    preflight = {"Origin": "https://example.com", "Access-Control-Request-Method": method}
    response = app.options(path, headers=preflight)

    assert method in response.headers["Access-Control-Allow-Methods"]
    sent = app.request(path, method=method, headers={"Origin": "https://example.com"}, expect_errors=True)
    assert sent.headers["Access-Control-Allow-Origin"] == "*"


def test_of_a_flood_of_logins_the_sessions_of_a_user_are_bounded(settings: Config, query: Query) -> None:
    settings = replace(settings, sessions=config.SessionOptions(per_user=5))
    with closing(open_store(settings, counted=NAMES)) as store:
        app = open_app(store, settings)
        secret = dict(line.split("=") for line in app.post("/new").text.splitlines())
        for _ in range(10):
            app.get(f"/{secret['user']}/login?secret={secret['secret']}")

    assert query("SELECT count(*) FROM sessions") == [(5,)]
