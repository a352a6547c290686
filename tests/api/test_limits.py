from __future__ import annotations

from typing import Any

import pytest
from webtest import TestApp

from scoresvc.api.dispatch import Api
from scoresvc.config import Config, HttpOptions, LimitOptions, MetricsOptions
from scoresvc.http.wsgi import Application
from scoresvc.rate_limits import Rate
from scoresvc.storage import Store
from tests.api.operators import add_token
from tests.conftest import Clock

WRONG = "A" * 32


def make_limited_app(store: Store, clock: Clock, proxies: tuple[str, ...] = (), **limits: Rate) -> TestApp:
    config = Config(
        http=HttpOptions(proxies=proxies, get_posts=True),
        limits=LimitOptions(**limits),
        metrics=MetricsOptions(public=True),
    )
    return TestApp(Application(Api(store, config, clock)), extra_environ={"REMOTE_ADDR": "198.51.100.7"})


def post(app: TestApp, key: str, **more: Any) -> Any:
    return app.post(f"/2/score?sessionkey={key}", "1500", expect_errors=True, **more)


def assert_refused(response: Any, seconds: int, what: str) -> None:
    assert response.status == "429 Too Many Requests"
    assert response.headers["Retry-After"] == str(seconds)
    assert response.text == f"too many {what}; try again in {seconds} s"


def test_by_default_wrong_keys_are_limited_and_right_ones_never(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock)
    key = app.get("/7/login").text

    assert {post(app, WRONG).status_int for _ in range(20)} == {401}

    assert_refused(post(app, WRONG), 3, "wrong keys from this address")
    assert post(app, key).status_int == 200
    clock.now += 3
    assert post(app, WRONG).status_int == 401


def test_no_key_is_no_wrong_key(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, wrong_keys_per_address=Rate(1, 60))

    assert [post(app, "").status_int for _ in range(3)] == [401] * 3
    assert post(app, WRONG).status_int == 401


def test_wrong_tokens_are_limited_too(store: Store, clock: Clock) -> None:
    add_token(store)
    app = make_limited_app(store, clock, wrong_keys_per_address=Rate(2, 60))

    def ask() -> Any:
        return app.get("/admin/actions", headers={"Authorization": f"Bearer {WRONG}"}, expect_errors=True)

    assert [ask().status_int for _ in range(2)] == [401] * 2
    assert_refused(ask(), 30, "wrong keys from this address")


def test_logins_of_an_address_are_limited(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, logins_per_address=Rate(2, 10))

    assert [app.get(f"/{user}/login").status_int for user in (1, 2)] == [200, 200]
    assert_refused(app.get("/3/login", expect_errors=True), 5, "logins from this address")
    assert app.get("/3/login", extra_environ={"REMOTE_ADDR": "198.51.100.8"}).status_int == 200


@pytest.mark.parametrize("limit", ["posts_per_user", "posts_per_address"])
@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_posts_are_limited_and_nothing_is_stored_of_those_refused(
    store: Store, clock: Clock, limit: str, accept: str
) -> None:
    app = make_limited_app(store, clock, **{limit: Rate(3, 60)})
    key = app.get("/7/login").text

    statuses = [
        app.post(f"/2/score?sessionkey={key}", str(score), headers={"Accept": accept}, expect_errors=True).status_int
        for score in (1, 2, 3, 4)
    ]

    assert statuses == [200, 200, 200, 429]
    assert app.get("/2/highscorelist").text == "7=3"
    assert app.get(f"/2/score/9?sessionkey={key}", expect_errors=True).status_int == 429


def test_a_limit_of_a_user_lets_other_users_of_the_address_post(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, posts_per_user=Rate(1, 60))
    one, other = (app.get(f"/{user}/login").text for user in (7, 8))

    assert [post(app, key).status_int for key in (one, one, other)] == [200, 429, 200]


def test_behind_a_known_proxy_each_player_is_counted_alone(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, proxies=("198.51.100.7",), logins_per_address=Rate(1, 60))

    def log_in(forwarded: str) -> int:
        return app.get("/7/login", headers={"X-Forwarded-For": forwarded}, expect_errors=True).status_int

    assert [log_in(each) for each in ("203.0.113.1", "203.0.113.2", "203.0.113.1")] == [200, 200, 429]
    assert log_in("9.9.9.9, 203.0.113.1") == 429


def test_behind_an_unknown_proxy_limits_by_address_are_off(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, logins_per_address=Rate(1, 60))
    proxied = {"REMOTE_ADDR": "127.0.0.1"}

    statuses = [
        app.get("/7/login", headers={"X-Forwarded-For": "203.0.113.1"}, extra_environ=proxied).status_int
        for _ in range(3)
    ]

    assert statuses == [200] * 3


def test_a_refusal_is_json_where_json_is_wanted_and_open_to_browsers(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, logins_per_address=Rate(1, 60))
    app.get("/7/login")

    response = app.get(
        "/7/login", headers={"Accept": "application/json", "Origin": "https://example.com"}, expect_errors=True
    )

    assert response.json["error"]["code"] == "too_many"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_metrics_count_what_was_refused(store: Store, clock: Clock) -> None:
    app = make_limited_app(store, clock, logins_per_address=Rate(1, 60))
    for _ in range(3):
        app.get("/7/login", expect_errors=True)

    metrics = app.get("/metrics").text.splitlines()

    assert "scoresvc_limited_total 2" in metrics
    assert 'scoresvc_requests_total{call="GET /<userid>/login",status="429"} 2' in metrics
