"""Pages of other origins: every answer says who may read it, a preflight what may be sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestApp, TestResponse

from scoresvc.api.dispatch import Api
from scoresvc.config import Config, HttpOptions
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store

PAGE = "https://game.example"
ALLOW = "Access-Control-Allow-Origin"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

Serve = Callable[..., TestApp]


@pytest.fixture
def serve(store: Store) -> Serve:
    """Returns the service for these origins."""
    return lambda *origins: TestApp(Application(Api(store, Config(http=HttpOptions(origins=origins)))))


def get_all(app: TestApp, origin: str = PAGE) -> list[TestResponse]:
    """Answers of all kinds."""
    headers = {"Origin": origin}
    key = app.get("/4711/login", headers=headers).text
    tag = app.get("/3/highscorelist").headers["ETag"]
    return [
        app.get("/4711/login", headers=headers),
        app.post(f"/2/score?sessionkey={key}", "0", headers=headers),
        app.post("/2/score?sessionkey=x", "1500", headers=headers, status=401),
        app.post("/2/score", "x", headers={**headers, "Accept": "application/json"}, status=400),
        app.get("/2/highscorelist", headers=headers),
        app.get("/3/highscorelist", headers={**headers, "If-None-Match": tag}, status=304),
        app.head("/2/highscorelist", headers=headers),
        app.get("/2/rank/7", headers=headers, status=404),
        app.get("/nothing", headers=headers, status=404),
        app.delete("/2/score", headers=headers, status=405),
        app.options("/2/score", headers=headers, status=204),
        app.options("/nothing", headers=headers, status=404),
    ]


def test_by_default_every_answer_may_be_read_by_every_page(serve: Serve) -> None:
    for response in get_all(serve("*")):
        assert response.headers[ALLOW] == "*"
        assert (
            response.headers["Access-Control-Expose-Headers"]
            == "ETag, Idempotent-Replayed, Retry-After, WWW-Authenticate"
        )
        assert response.headers["Vary"] == "Accept"


def test_with_a_list_each_answer_names_the_origin_that_asks_where_it_is_listed(serve: Serve) -> None:
    app = serve("https://other.example", PAGE, "null")

    for origin in (PAGE, "null"):
        for response in get_all(app, origin):
            assert response.headers[ALLOW] == origin
            assert response.headers["Vary"] == "Accept, Origin"
    for response in get_all(app, "https://evil.example"):
        assert ALLOW not in response.headers
        assert response.headers["Vary"] == "Accept, Origin"
    assert ALLOW not in app.get("/2/highscorelist").headers


def test_with_no_origins_no_page_may_read_anything(serve: Serve) -> None:
    for response in get_all(serve()):
        assert not [name for name in response.headers if name.startswith("Access-Control")]
        assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/4711/login", "GET, POST, OPTIONS"),
        ("/4711/", "GET, POST, OPTIONS"),
        ("/2/score", "POST, OPTIONS"),
        ("/2/highscorelist", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_says_what_a_path_takes(serve: Serve, path: str, methods: str) -> None:
    response = serve("*").options(path, status=204)

    assert response.headers["Allow"] == methods
    assert response.body == b""
    assert "Access-Control-Allow-Methods" not in response.headers


@pytest.mark.parametrize("origins", [("*",), (PAGE,)])
def test_a_preflight_is_allowed_what_games_send(serve: Serve, origins: tuple[str, ...]) -> None:
    response = serve(*origins).options("/2/score", headers=PREFLIGHT, status=204)

    assert response.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert response.headers["Access-Control-Allow-Headers"] == (
        "Authorization, Accept, Content-Type, Idempotency-Key, If-None-Match, X-Unity-Version"
    )
    assert response.headers["Access-Control-Max-Age"] == "7200"


@pytest.mark.parametrize("origins", [(), ("https://other.example",)])
def test_a_preflight_of_another_origin_is_allowed_nothing(serve: Serve, origins: tuple[str, ...]) -> None:
    response = serve(*origins).options("/2/score", headers=PREFLIGHT, status=204)

    assert not [name for name in response.headers if name.startswith("Access-Control")]
    assert response.headers["Allow"] == "POST, OPTIONS"
