"""Levels as their settings have them: which posts are accepted, what ranks, how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp, TestResponse

from scoresvc.actions import SetLevel
from scoresvc.levels import LevelSettings
from scoresvc.storage import Store
from tests.conftest import Clock

JSON = {"Accept": "application/json"}

SetLevelUp = Callable[..., None]
Post = Callable[..., TestResponse]


@pytest.fixture
def set_level(store: Store) -> SetLevelUp:
    """Sets what differs for level 2, or another."""

    def run(level: int = 2, rebuild: bool = False, **settings: Any) -> None:
        store.admin.perform("test", SetLevel(level, settings, rebuild)).result()

    return run


@pytest.fixture
def post(app: TestApp) -> Post:
    """Posts a score to level 2, or another, as a user who has just logged in."""

    def run(user: int, score: object, level: int = 2, **options: Any) -> TestResponse:
        key = app.get(f"/{user}/login").text
        return app.post(f"/{level}/score?sessionkey={key}", str(score), **options)

    return run


def refused(response: TestResponse) -> tuple[int, str]:
    return response.status_int, response.json["error"]["code"]


def entries(app: TestApp, path: str) -> list[tuple[int, int, int]]:
    """Rank, user and score of each entry."""
    found = app.get(path, headers=JSON).json["entries"]
    return [(entry["rank"], entry["user"], entry["score"]) for entry in found]


# Order


def test_where_less_is_better_the_lowest_score_stands_first(app: TestApp, set_level: SetLevelUp, post: Post) -> None:
    set_level(order="asc")
    for user, score in ((1, 70), (2, 50), (3, 50), (4, 0), (5, 2147483647)):
        post(user, score)

    assert app.get("/2/highscorelist").text == "4=0,2=50,3=50,1=70,5=2147483647"
    assert entries(app, "/2/highscorelist") == [(1, 4, 0), (2, 2, 50), (2, 3, 50), (4, 1, 70), (5, 5, 2147483647)]
    assert [app.get(f"/2/rank/{user}").text for user in (1, 2, 3, 4, 5)] == ["4", "2", "2", "1", "5"]
    assert app.get("/2/rank/2", headers=JSON).json["percentile"] == 80.0


def test_where_less_is_better_only_a_lower_score_improves(set_level: SetLevelUp, post: Post) -> None:
    set_level(order="asc")

    said = [post(1, score, headers=JSON).json for score in (50, 70, 30)]

    assert [(each["improved"], each["best"], each["previous"]) for each in said] == [
        (True, 50, None),
        (False, 50, 50),
        (True, 30, 50),
    ]


def test_pages_neighbours_and_subsets_follow_the_order(app: TestApp, set_level: SetLevelUp, post: Post) -> None:
    set_level(order="asc")
    for user in range(1, 8):
        post(user, 10 * user)

    first = app.get("/2/highscorelist?limit=3", headers=JSON).json
    second = app.get(f"/2/highscorelist?limit=9&after={first['next']}", headers=JSON).json

    pages = [entry["user"] for page in (first, second) for entry in page["entries"]]
    assert pages == [1, 2, 3, 4, 5, 6, 7]
    assert app.get("/2/around/4?count=3").text == "3=30,4=40,5=50"
    assert app.get("/2/highscorelist?users=7,1").text == "1=10,7=70"
    assert app.get("/7/scores").text == "2=70"


# Keep


def test_the_latest_score_stands_where_it_is_kept(app: TestApp, set_level: SetLevelUp, post: Post) -> None:
    set_level(keep="latest")

    said = [post(1, score, headers=JSON).json for score in (50, 70, 30)]

    assert [(each["best"], each["previous"]) for each in said] == [(50, None), (70, 50), (30, 70)]
    assert app.get("/2/highscorelist").text == "1=30"


def test_a_sum_grows_with_every_post_and_stops_at_the_highest_number(
    app: TestApp, set_level: SetLevelUp, post: Post
) -> None:
    set_level(keep="sum")

    said = [post(1, score, headers=JSON).json["best"] for score in (50, 0, 70, 2147483600, 1)]

    assert said == [50, 50, 120, 2147483647, 2147483647]
    assert app.get("/2/highscorelist").text == "1=2147483647"


@pytest.mark.parametrize("keep", ["latest", "sum"])
def test_of_equal_scores_the_one_whose_last_post_is_earlier_stands_higher(
    app: TestApp, set_level: SetLevelUp, post: Post, clock: Clock, keep: str
) -> None:
    set_level(keep=keep)
    posts = [(1, 5), (2, 10), (1, 5)] if keep == "sum" else [(1, 10), (2, 10), (1, 10)]
    for user, score in posts:
        clock.now += 1
        post(user, score)

    assert app.get("/2/highscorelist").text == "2=10,1=10"


# What is refused


@pytest.mark.parametrize("score", [9, 91, 0, 2147483647])
def test_a_score_out_of_bounds_is_refused_with_the_bounds(
    app: TestApp, set_level: SetLevelUp, post: Post, score: int
) -> None:
    set_level(min=10, max=90)

    response = post(1, score, headers=JSON, status=422)

    assert refused(response) == (422, "out_of_bounds")
    assert response.json["error"]["message"] == "a score of this level must be from 10 to 90"
    assert app.get("/2/highscorelist").text == ""
    assert (post(1, 10).status_int, post(1, 90).status_int) == (200, 200)


def test_one_bound_is_enough(set_level: SetLevelUp, post: Post) -> None:
    set_level(level=3, min=10)
    set_level(level=4, max=90)

    assert "from 10 to 2147483647" in post(1, 9, level=3, status=422).text
    assert "from 0 to 90" in post(1, 91, level=4, status=422).text


def test_a_player_does_not_post_where_only_the_server_does(app: TestApp, set_level: SetLevelUp, post: Post) -> None:
    set_level(posts="server")

    assert refused(post(1, 5, headers=JSON, status=403)) == (403, "server_only")
    assert app.get("/2/highscorelist").text == ""
    assert post(1, 5, level=3).status_int == 200


def test_a_score_that_came_too_fast_is_refused_with_the_seconds_that_it_needs(
    app: TestApp, set_level: SetLevelUp, clock: Clock
) -> None:
    set_level(pace=10)
    key = app.get("/1/login").text
    path = f"/2/score?sessionkey={key}"

    clock.now += 5
    response = app.post(path, "51", headers=JSON, status=422)

    assert refused(response) == (422, "too_fast")
    assert response.json["error"]["message"] == "this score needs 6 seconds from the login on"
    assert app.post(path, "50").status_int == 200
    clock.now += 1
    assert app.post(path, "51").status_int == 200


def test_zero_is_never_too_fast(set_level: SetLevelUp, post: Post) -> None:
    set_level(pace=1)

    assert post(1, 0).status_int == 200


@pytest.mark.parametrize("own", [{"posts": "server"}, {"max": 5}, {"pace": 1}])
def test_the_key_is_checked_before_the_settings(app: TestApp, set_level: SetLevelUp, own: dict[str, object]) -> None:
    set_level(**own)

    assert refused(app.post("/2/score?sessionkey=X", "9", headers=JSON, status=401)) == (401, "unauthorized")
    assert refused(app.post("/2/score?sessionkey=X", "x", headers=JSON, status=400)) == (400, "bad_number")


def test_a_post_by_get_is_held_to_the_settings(app: TestApp, set_level: SetLevelUp, key: str) -> None:
    set_level(max=5)

    assert refused(app.get(f"/2/score/9?sessionkey={key}", headers=JSON, status=422)) == (422, "out_of_bounds")


# Format


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({"format": "time"}, "1:05.000"),
        ({"format": "decimal:2", "unit": " m"}, "650.00 m"),
        ({"unit": " points"}, "65000 points"),
    ],
)
def test_a_score_with_a_format_comes_as_text_besides(
    app: TestApp, set_level: SetLevelUp, post: Post, own: dict[str, str], text: str
) -> None:
    set_level(**own)
    post(1, 65000)

    for path in ("/2/highscorelist", "/2/highscorelist?users=1", "/2/around/1"):
        assert app.get(path, headers=JSON).json["entries"][0]["text"] == text
        assert app.get(path).text == "1=65000"
    assert app.get("/2/highscorelist?format=lines").text == "1\t1\t65000\t\n"


def test_a_score_without_a_format_has_no_text(app: TestApp, post: Post) -> None:
    post(1, 65000)

    assert "text" not in app.get("/2/highscorelist", headers=JSON).json["entries"][0]


# Settings and levels


def test_the_settings_of_a_level_are_lines_and_an_object(app: TestApp, set_level: SetLevelUp) -> None:
    set_level(order="asc", max=90, title="Hill climb", format="time", periods=("day", "week"), zone="Europe/Berlin")

    assert app.get("/2/settings").text.splitlines() == [
        "order=asc", "keep=best", "min=", "max=90", "title=Hill climb", "format=time", "unit=", "periods=day,week",
        "zone=Europe/Berlin", "posts=anyone", "pace=", "listed=yes",
    ]  # fmt: skip
    assert app.get("/2/settings", headers=JSON).json == {
        "order": "asc", "keep": "best", "min": None, "max": 90, "title": "Hill climb", "format": "time", "unit": None,
        "periods": ["day", "week"], "zone": "Europe/Berlin", "posts": "anyone", "pace": None, "listed": True,
    }  # fmt: skip


def test_a_level_that_nobody_has_named_has_the_defaults(app: TestApp) -> None:
    answer = app.get("/7/settings", headers=JSON).json

    assert LevelSettings(**{**answer, "periods": tuple(answer["periods"])}) == LevelSettings()


def test_players_do_not_learn_from_which_score_on_it_is_held(app: TestApp, set_level: SetLevelUp) -> None:
    set_level(hold=9000)

    assert "9000" not in app.get("/2/settings").text + app.get("/2/settings", headers=JSON).text


def test_the_levels_with_scores_or_settings_are_listed_by_number(
    app: TestApp, set_level: SetLevelUp, post: Post
) -> None:
    for user, level in ((1, 9), (2, 9), (1, 2147483647), (1, 0), (1, 8)):
        post(user, 5, level=level)
    set_level(level=3, title="Hill")
    set_level(level=8, listed=False)

    assert app.get("/levels").text == "0=1,3=0,9=2,2147483647=1"
    assert app.get("/levels", headers=JSON).json == {
        "levels": [
            {"level": 0, "title": None, "players": 1},
            {"level": 3, "title": "Hill", "players": 0},
            {"level": 9, "title": None, "players": 2},
            {"level": 2147483647, "title": None, "players": 1},
        ],
        "next": None,
    }
    assert app.get("/8/highscorelist").text == "1=5"


def test_levels_come_in_pages(app: TestApp, post: Post) -> None:
    for level in range(5):
        post(1, 5, level=level)

    pages, after = [], ""
    while after is not None:
        page = app.get(f"/levels?limit=2{after and '&after='}{after}", headers=JSON).json
        pages.append([each["level"] for each in page["levels"]])
        after = page["next"]

    assert pages == [[0, 1], [2, 3], [4]]


def test_without_levels_the_list_is_empty(app: TestApp) -> None:
    assert app.get("/levels").text == ""
    assert app.get("/levels", headers=JSON).json == {"levels": [], "next": None}


@pytest.mark.parametrize(
    ("query", "code"),
    [("limit=0", "bad_count"), ("after=x", "bad_cursor"), ("after=", "bad_cursor"), ("kind=day", "unknown_parameter")],
)
def test_a_wrong_page_of_levels_is_refused(app: TestApp, query: str, code: str) -> None:
    assert refused(app.get(f"/levels?{query}", headers=JSON, status=400)) == (400, code)


def test_a_cursor_of_a_list_is_none_of_the_levels(app: TestApp, post: Post) -> None:
    post(1, 5)
    post(2, 5)
    cursor = app.get("/2/highscorelist?limit=1", headers=JSON).json["next"]

    assert refused(app.get(f"/levels?after={cursor}", headers=JSON, status=400)) == (400, "bad_cursor")
