"""The player's own view: ranks, pages, neighbours and subsets, in both forms."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from webtest import TestApp

from scoresvc import config
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.storage import Store, migrate_database, open_store
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import Migration, read_migrations
from tests.conftest import Clock, Query, make_app

JSON = {"Accept": "application/json"}
STARTED = "2023-11-14T22:13:20.000Z"  # the clock's time

Fill = Callable[..., None]


@pytest.fixture
def fill(store: Store) -> Fill:
    """Posts scores in the order in which they are given, `(user, score)` each."""

    def run(*scores: tuple[int, int], level: int = 2) -> None:
        for user, score in scores:
            store.scores.post(level, user, score).result()

    return run


def get(app: TestApp, path: str, status: int = 200) -> Any:
    response = app.get(path, headers=JSON, status=status)
    assert response.headers["Content-Type"] == "application/json"
    return response.json


def ranked(board: dict[str, Any]) -> list[tuple[int, int]]:
    return [(entry["rank"], entry["user"]) for entry in board["entries"]]


# Ranks


def test_a_rank_is_one_plus_the_players_with_a_higher_score(app: TestApp, fill: Fill) -> None:
    fill((1, 40), (2, 30), (3, 30), (4, 20))

    assert [app.get(f"/2/rank/{user}").text for user in (1, 2, 3, 4)] == ["1", "2", "2", "4"]


def test_a_rank_in_json_says_where_a_player_stands(app: TestApp, fill: Fill) -> None:
    fill((4711, 1500), (131, 1220))

    assert get(app, "/2/rank/131") == {
        "level": 2,
        "user": 131,
        "score": 1220,
        "rank": 2,
        "players": 2,
        "percentile": 50.0,
        "reached_at": STARTED,
        "period": "all",
    }


def test_a_percentile_is_the_share_of_players_whose_score_is_not_higher(app: TestApp, fill: Fill) -> None:
    fill((1, 40), (2, 30), (3, 30))

    assert [get(app, f"/2/rank/{user}")["percentile"] for user in (1, 2, 3)] == [100.0, 66.7, 66.7]


def test_times_are_in_utc_to_the_millisecond(app: TestApp, fill: Fill, clock: Clock) -> None:
    clock.now += 0.0789
    fill((1, 40))

    assert get(app, "/2/rank/1")["reached_at"] == "2023-11-14T22:13:20.078Z"


@pytest.mark.parametrize("path", ["/2/rank/9", "/2/around/9", "/3/rank/1"])
def test_a_user_without_a_score_has_no_rank(app: TestApp, fill: Fill, path: str) -> None:
    fill((1, 40))

    assert get(app, path, status=404)["error"]["code"] == "no_score"
    assert "no score" in app.get(path, status=404).text


# Lists


def test_a_list_in_json_says_ranks_times_and_players(app: TestApp, fill: Fill) -> None:
    fill((4711, 1500), (131, 1220))

    assert get(app, "/2/highscorelist") == {
        "level": 2,
        "players": 2,
        "entries": [
            {"rank": 1, "user": 4711, "score": 1500, "reached_at": STARTED, "name": None},
            {"rank": 2, "user": 131, "score": 1220, "reached_at": STARTED, "name": None},
        ],
        "next": None,
        "period": "all",
    }


def test_an_empty_level_is_an_empty_list(app: TestApp) -> None:
    assert get(app, "/2/highscorelist") == {"level": 2, "players": 0, "entries": [], "next": None, "period": "all"}


def test_pages_follow_each_other_to_the_end(app: TestApp, fill: Fill) -> None:
    fill(*((user, 100 - user // 3) for user in range(20)))
    pages, path = [], "/2/highscorelist?limit=6"

    while path:
        pages.append(get(app, path))
        path = pages[-1]["next"] and f"/2/highscorelist?limit=6&after={pages[-1]['next']}"

    assert [len(page["entries"]) for page in pages] == [6, 6, 6, 2]
    assert [entry for page in pages for entry in ranked(page)] == [(1 + user // 3 * 3, user) for user in range(20)]


def test_a_page_that_ends_with_the_level_is_the_last(app: TestApp, fill: Fill) -> None:
    fill((1, 40), (2, 30))

    assert get(app, "/2/highscorelist?limit=2")["next"] is None


def test_a_page_comes_as_plain_text_too(app: TestApp, fill: Fill) -> None:
    fill(*((user, 100 - user) for user in range(30)))
    cursor = get(app, "/2/highscorelist?limit=2")["next"]

    assert app.get(f"/2/highscorelist?after={cursor}&limit=3").text == "2=98,3=97,4=96"
    assert app.get(f"/2/highscorelist?after={cursor}").text.count("=") == 15
    assert app.get("/2/highscorelist?limit=20").text.count("=") == 20


def test_a_player_whose_score_does_not_change_is_never_skipped_or_repeated(app: TestApp, fill: Fill) -> None:
    fill(*((user, 100 - user) for user in range(10)))
    first = get(app, "/2/highscorelist?limit=5")
    fill((7, 1000), (4, 2000), (20, 97))

    second = get(app, f"/2/highscorelist?limit=50&after={first['next']}")

    assert [user for _, user in ranked(second)] == [5, 6, 8, 9]


def test_a_cursor_is_short_opaque_and_fit_for_an_address(app: TestApp, fill: Fill) -> None:
    fill((1, 2147483647), (2, 2147483647), level=2147483647)

    cursor = get(app, "/2147483647/highscorelist?limit=1")["next"]

    assert re.fullmatch("[A-Za-z0-9_-]{1,99}", cursor)


def test_a_cursor_that_is_not_of_this_level_is_refused(app: TestApp, fill: Fill) -> None:
    fill((1, 40), (2, 30))
    fill((1, 40), (2, 30), level=3)
    cursor = get(app, "/2/highscorelist?limit=1")["next"]

    assert get(app, f"/3/highscorelist?after={cursor}", status=400)["error"]["code"] == "bad_cursor"


def test_a_cursor_that_nobody_made_is_refused(app: TestApp, fill: Fill) -> None:
    fill((1, 40), (2, 30))
    cursor = get(app, "/2/highscorelist?limit=1")["next"]
    others = {cursor[:n] + ("A" if cursor[n] != "A" else "B") + cursor[n + 1 :] for n in range(len(cursor))}

    for forged in (
        *others,
        "",
        "x",
        "%00",
        "%D9%A3",
        f"{cursor}=",
        f"{cursor}==",
        cursor[:-1],
        f"{cursor}A",
        f" {cursor}",
    ):
        assert "next" in app.get(f"/2/highscorelist?after={forged}", status=400).text


def test_a_cursor_outlives_a_restart(app: TestApp, store: Store, fill: Fill, settings: Config) -> None:
    fill((1, 40), (2, 30))
    cursor = get(app, "/2/highscorelist?limit=1")["next"]
    store.close()

    with closing(open_store(settings, counted=NAMES)) as restarted:
        assert make_app(restarted).get(f"/2/highscorelist?after={cursor}").text == "2=30"


def test_users_are_listed_with_their_ranks_on_the_whole_board(app: TestApp, fill: Fill) -> None:
    fill(*((user, 100 - user) for user in range(10)))

    board = get(app, "/2/highscorelist?users=7,3,99,3")

    assert ranked(board) == [(4, 3), (8, 7)]
    assert (board["players"], board["next"]) == (10, None)
    assert app.get("/2/highscorelist?users=7%2C3,99").text == "3=97,7=93"


@pytest.mark.parametrize(
    ("user", "count", "neighbours"),
    [
        (5, 5, [3, 4, 5, 6, 7]),
        (5, 4, [4, 5, 6, 7]),
        (5, 1, [5]),
        (5, 2, [5, 6]),
        (0, 3, [0, 1, 2]),
        (1, 5, [0, 1, 2, 3, 4]),
        (9, 3, [7, 8, 9]),
        (8, 5, [5, 6, 7, 8, 9]),
        (5, 100, list(range(10))),
    ],
)
def test_neighbours_stand_around_a_player_and_what_one_end_lacks_is_taken_at_the_other(
    app: TestApp, fill: Fill, user: int, count: int, neighbours: list[int]
) -> None:
    fill(*((user, 100 - user) for user in range(10)))

    board = get(app, f"/2/around/{user}?count={count}")

    assert ranked(board) == [(1 + each, each) for each in neighbours]
    assert app.get(f"/2/around/{user}?count={count}").text == ",".join(f"{each}={100 - each}" for each in neighbours)
    if board["next"]:
        following = get(app, f"/2/highscorelist?after={board['next']}")
        assert ranked(following)[0] == (neighbours[-1] + 2, neighbours[-1] + 1)
    else:
        assert neighbours[-1] == 9


def test_a_user_s_scores_are_listed_by_level(app: TestApp, fill: Fill) -> None:
    fill((131, 1220), (4711, 1500))
    fill((131, 7), level=1)

    assert app.get("/131/scores").text == "1=7,2=1220"
    assert get(app, "/131/scores") == {
        "user": 131,
        "scores": [
            {"level": 1, "score": 7, "rank": 1, "players": 1},
            {"level": 2, "score": 1220, "rank": 2, "players": 2},
        ],
        "next": None,
        "period": "all",
    }
    assert get(app, "/9/scores") == {"user": 9, "scores": [], "next": None, "period": "all"}
    assert app.get("/9/scores").text == ""


def test_pages_of_a_user_s_scores_follow_each_other_to_the_end(app: TestApp, fill: Fill) -> None:
    for level in (5, 1, 2147483647, 0, 3, 2):
        fill((131, level % 1000), level=level)
    path, pages = "/131/scores?limit=2", []
    while True:
        page = get(app, path)
        pages.append([each["level"] for each in page["scores"]])
        assert app.get(path).text == ",".join(f"{each['level']}={each['score']}" for each in page["scores"])
        if page["next"] is None:
            break
        path = f"/131/scores?limit=2&after={page['next']}"

    assert pages == [[0, 1], [2, 3], [5, 2147483647]]


def test_a_cursor_of_scores_is_of_this_user_and_kind_of_period(app: TestApp, fill: Fill) -> None:
    for level in (1, 2):
        fill((131, 7), (7, 8), level=level)
    cursor = get(app, "/131/scores?limit=1")["next"]

    for path in (f"/7/scores?after={cursor}", f"/131/scores?period=day&after={cursor}", "/131/scores?after=x"):
        assert app.get(path, headers=JSON, status=400).json["error"]["code"] == "bad_cursor"
    list_cursor = get(app, "/1/highscorelist?limit=1")["next"]
    assert app.get(f"/1/scores?after={list_cursor}", headers=JSON, status=400).json["error"]["code"] == "bad_cursor"


# Posting and logging in


def test_a_post_in_json_says_what_came_of_it(app: TestApp, fill: Fill, key: str) -> None:
    fill((1, 1450))

    said = [app.post(f"/2/score?sessionkey={key}", str(score), headers=JSON).json for score in (1400, 1500, 3, 1500)]

    assert said == [
        {"improved": True, "best": 1400, "previous": None, "rank": 2, "players": 2},
        {"improved": True, "best": 1500, "previous": 1400, "rank": 1, "players": 2},
        {"improved": False, "best": 1500, "previous": 1500, "rank": 1, "players": 2},
        {"improved": False, "best": 1500, "previous": 1500, "rank": 1, "players": 2},
    ]
    assert app.get("/2/highscorelist").text == "4711=1500,1=1450"


def test_a_login_in_json_says_when_the_session_ends(app: TestApp) -> None:
    response = app.get("/4711/login", headers=JSON)

    assert list(response.json) == ["user", "sessionkey", "expires_at"]
    assert (response.json["user"], response.json["expires_at"]) == (4711, "2023-11-14T22:23:20.000Z")
    assert response.headers["Cache-Control"] == "no-store"
    app.post(f"/2/score?sessionkey={response.json['sessionkey']}", "1")


def test_refusals_come_as_json_too(app: TestApp) -> None:
    for path, status, code in (
        ("/nothing", 404, "not_found"),
        ("/2/score", 405, "method_not_allowed"),
        ("/9999999999/highscorelist", 400, "bad_number"),
    ):
        response = app.get(path, headers=JSON, status=status)

        assert response.headers["Content-Type"] == "application/json"
        assert response.json == {"error": {"code": code, "message": app.get(path, status=status).text}}
    assert app.post("/2/score", "1", headers=JSON, status=401).headers["WWW-Authenticate"] == "Bearer"


def test_what_has_no_json_is_plain(app: TestApp) -> None:
    assert app.get("/metrics", headers=JSON).content_type == "text/plain"


@pytest.mark.parametrize("path", ["/", "/2/highscorelist", "/2/rank/1", "/1/login", "/nothing"])
def test_every_answer_varies_with_accept(app: TestApp, fill: Fill, path: str) -> None:
    fill((1, 40))

    assert app.get(path, expect_errors=True).headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", ["/2/rank/1", "/2/around/1", "/1/scores", "/2/highscorelist?users=1"])
def test_head_answers_like_get_in_both_forms(app: TestApp, fill: Fill, path: str) -> None:
    fill((1, 40))

    for headers in ({}, JSON):
        got, head = app.get(path, headers=headers), app.head(path, headers=headers)
        assert (head.headers, head.body) == (got.headers, b"")


# Refusals


@pytest.mark.parametrize("number", ["0", "1001", "-1", "+5", "", "x", "1.0", "٣", "9" * 11, "9" * 5000, "5,5", "%20 5"])
@pytest.mark.parametrize("path", ["/2/highscorelist?limit=", "/2/around/1?count="])
def test_a_count_that_is_out_of_range_is_refused(app: TestApp, fill: Fill, path: str, number: str) -> None:
    fill((1, 40))

    assert "from 1 to 1000" in app.get(path + number, status=400).text


def test_the_ends_of_a_count_are_good(app: TestApp, fill: Fill) -> None:
    fill((1, 40))

    for path in ("/2/highscorelist?limit=", "/2/around/1?count="):
        for number in ("1", "1000", "0001"):
            assert app.get(path + number).text == "1=40"


@pytest.mark.parametrize(
    "users", ["x", "1;2", "1 2", "1,-1", "2147483648", "2.0", "1,2.5", "[1,2]", ",".join("1" * 1001)]
)
def test_users_that_are_no_list_of_numbers_are_refused(app: TestApp, users: str) -> None:
    response = app.get("/2/highscorelist", {"users": users}, status=400)

    assert "at most 1000 integers" in response.text
    assert "without a fraction" in response.text
    assert response.text.endswith("such as users=1,2")


@pytest.mark.parametrize("users", ["", ",", " ", ", ,"])
def test_no_users_are_an_empty_list(app: TestApp, fill: Fill, users: str) -> None:
    fill((1, 40))

    assert app.get("/2/highscorelist", {"users": users}).text == ""
    board = app.get("/2/highscorelist", {"users": users}, headers=JSON).json
    assert board == {"level": 2, "players": 1, "entries": [], "next": None, "period": "all"}


@pytest.mark.parametrize("users", ["1,2,", ",1,2", "1,,2", "1, 2", " 1 , 2 ", ",".join(["1"] + [""] * 1001 + ["2"])])
def test_blanks_and_empty_places_in_a_list_of_users_are_ignored(app: TestApp, fill: Fill, users: str) -> None:
    fill((1, 40), (2, 30), (3, 20))

    assert app.get("/2/highscorelist", {"users": users}).text == "1=40,2=30"


def test_a_thousand_users_are_good(app: TestApp, fill: Fill) -> None:
    fill((2147483647, 40))
    users = ",".join(str(2147483647 - each) for each in range(1000))

    assert app.get(f"/2/highscorelist?users={users}").text == "2147483647=40"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/2/highscorelist?users=1&limit=5", "cannot be combined with limit or after"),
        ("/2/highscorelist?after=x&users=1", "cannot be combined with limit or after"),
        ("/2/highscorelist?limit=1&limit=1", "once"),
        ("/2/highscorelist?users=1&users=2", "users is given more than once; give it once, such as users=1,2"),
        ("/2/highscorelist?users[]=1", "users takes no brackets; give it once, such as users=1,2"),
        ("/2/highscorelist?users%5B%5D=1&users%5B%5D=2", "users takes no brackets; give it once, such as users=1,2"),
        ("/2/highscorelist?users[0]=1", "users takes no brackets; give it once, such as users=1,2"),
        ("/2/highscorelist?limit[]=1", "does not take"),
        ("/2/rank/4?users[]=1", "does not take"),
        ("/2/highscorelist?count=1", "does not take"),
        ("/2/around/1?limit=1", "does not take"),
        ("/2/around/1?count=1&count=1", "once"),
        ("/2/rank/1?limit=1", "does not take"),
        ("/1/scores?limit=1001", "limit must be"),
        ("/2147483648/rank/1", "levelid"),
        ("/2/rank/2147483648", "userid"),
        ("/2/around/2147483648", "userid"),
        ("/2147483648/scores", "userid"),
    ],
)
def test_a_question_that_is_wrong_is_refused(app: TestApp, fill: Fill, path: str, word: str) -> None:
    fill((1, 40))

    assert word in app.get(path, status=400).text


@pytest.mark.parametrize("path", ["/2/rank/x", "/2/rank/", "/2/around", "/x/scores", "/2/rank/1/2"])
def test_a_path_that_only_looks_like_one_is_not_found(app: TestApp, path: str) -> None:
    app.get(path, status=404)


# Against a model


def small_bands() -> list[Migration]:
    """The migrations with bands of 4 players, so that they split and merge all the time."""
    sizes = {"4096": "4", "2048": "2"}
    return [
        migration._replace(sql=re.sub(r"\b(4096|2048)\b", lambda size: sizes[size[0]], migration.sql))
        for migration in read_migrations()
    ]


Model = dict[tuple[int, int], tuple[int, int]]  # (level, user): (score, turn in which it was reached)


def assert_equal(app: TestApp, model: Model, chance: random.Random) -> None:
    """Every rank, page, neighbourhood and subset of a level is what a plain sort says."""
    for level in range(2):
        order = sorted((-score, turn, user) for (of, user), (score, turn) in model.items() if of == level)
        rank = {user: 1 + sum(minus < own for minus, _, _ in order) for own, _, user in order}
        everyone = [(rank[user], user) for _, _, user in order]

        limit, path, pages = chance.randint(1, 9), f"/{level}/highscorelist", []
        board = get(app, f"{path}?limit={limit}")
        while board["next"]:
            pages += ranked(board)
            board = get(app, f"{path}?limit={limit}&after={board['next']}")
        assert pages + ranked(board) == everyone
        assert board["players"] == len(order)

        users = chance.sample(range(40), 9)
        subset = get(app, f"{path}?users={','.join(map(str, users))}")
        assert ranked(subset) == [(place, user) for place, user in everyone if user in users]

        for at, (place, user) in enumerate(everyone):
            standing = get(app, f"/{level}/rank/{user}")
            assert (standing["rank"], standing["players"]) == (place, len(order))
            first = max(0, min(at - 2, len(order) - 6))
            assert ranked(get(app, f"/{level}/around/{user}?count=6")) == everyone[first : first + 6]


posts = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 39), st.integers(0, 30)), max_size=150)


@hypothesis_settings(max_examples=25, deadline=None)
@given(posts=posts, spread=st.sampled_from([1, 7, 10**6]), seed=st.integers(0, 1000))
def test_every_answer_equals_a_plain_sort(
    tmp_path_factory: pytest.TempPathFactory, posts: list[tuple[int, int, int]], spread: int, seed: int
) -> None:
    """Whatever is posted: in an old database without ranks, after its migration, over a restart."""
    path = tmp_path_factory.mktemp("board") / "scores.sqlite3"
    settings = Config(database=config.DatabaseOptions(path=path))
    chance = random.Random(seed)
    migrations = small_bands()
    model: Model = {}
    first, restart = sorted(chance.randrange(160) for _ in range(2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoresvc.storage.sqlite.migrate.read_migrations", lambda: migrations[:1])
        migrate_database(settings)
        with closing(sqlite3.connect(path)) as connection, connection:
            for turn, (level, user, score) in enumerate(posts[:first]):
                keep(model, (level, user), score * spread, turn)
            for (level, user), (score, turn) in model.items():
                connection.execute("INSERT INTO scores VALUES (?, ?, ?, ?)", (level, user, score, turn))
        patch.setattr("scoresvc.storage.sqlite.migrate.read_migrations", lambda: migrations)
        migrate_database(settings)

    for start, end in ((first, restart), (restart, len(posts))):
        with closing(open_store(settings, counted=NAMES)) as store:
            for turn, (level, user, score) in enumerate(posts[start:end], start):
                store.scores.post(level, user, score * spread).result()
                keep(model, (level, user), score * spread, turn)
            assert_equal(make_app(store), model, chance)


def keep(model: Model, who: tuple[int, int], score: int, turn: int) -> None:
    if score > model.get(who, (-1, 0))[0]:
        model[who] = (score, turn)


def test_a_player_who_is_deleted_by_hand_is_counted_no_more(
    app: TestApp, fill: Fill, database_path: Path, query: Query
) -> None:
    fill((1, 40), (2, 30), (3, 20))
    with closing(sqlite3.connect(database_path)) as connection, connection:
        connection.execute("DELETE FROM scores WHERE user_id = 2")

    assert get(app, "/2/rank/3")["rank"] == 2
    assert get(app, "/2/highscorelist")["players"] == 2
