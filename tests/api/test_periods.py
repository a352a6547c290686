"""Days, weeks and months from one post."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from webtest import TestApp

from scoresvc.actions import SetLevel
from scoresvc.levels import PERIOD_KINDS
from scoresvc.storage import Store, user_pages
from tests.conftest import Clock

JSON = {"Accept": "application/json"}
DAY = 86400  # seconds
WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=timezone.utc).timestamp()
LISTS = ("/2/highscorelist", "/2/around/1", "/2/rank/1", "/1/scores")


@pytest.fixture(autouse=True)
def _settings(store: Store, clock: Clock) -> None:
    clock.now = WEDNESDAY
    set_level(store, periods=PERIOD_KINDS)


def set_level(store: Store, level: int = 2, **settings: Any) -> None:
    store.admin.perform("test", SetLevel(level, settings)).result()


def post(app: TestApp, user: int, score: int, level: int = 2) -> Any:
    key = app.get(f"/{user}/login").text
    return app.post(f"/{level}/score?sessionkey={key}", str(score), headers=JSON).json


def listed(app: TestApp, period: str, level: int = 2) -> str:
    return app.get(f"/{level}/highscorelist?period={period}").text


def refused(app: TestApp, path: str, status: int) -> str:
    return app.get(path, headers=JSON, status=status).json["error"]["code"]


# What a post counts for


def test_a_post_counts_for_all_time_and_for_each_period_that_the_level_has(app: TestApp) -> None:
    post(app, 1, 50)

    assert [listed(app, period) for period in ("all", "day", "week", "month")] == ["1=50"] * 4


def test_a_new_period_begins_empty_and_the_older_ones_stay(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    clock.now += DAY
    assert listed(app, "day") == ""
    post(app, 1, 30)
    post(app, 2, 40)

    assert listed(app, "day") == "2=40,1=30"
    assert listed(app, "day-1") == listed(app, "2026-11-25") == "1=50"
    assert listed(app, "week") == listed(app, "month") == listed(app, "all") == "1=50,2=40"
    clock.now += 60 * DAY
    assert listed(app, "2026-W48") == listed(app, "2026-11") == listed(app, "month-2") == "1=50,2=40"


def test_the_week_begins_on_monday_and_belongs_to_a_year_by_iso_8601(app: TestApp, clock: Clock) -> None:
    clock.now = datetime(2027, 1, 3, 23, 59, tzinfo=timezone.utc).timestamp()  # a Sunday
    post(app, 1, 50)
    clock.now += 60
    post(app, 1, 30)

    assert (listed(app, "2026-W53"), listed(app, "2027-W01")) == ("1=50", "1=30")
    assert listed(app, "2027-01") == "1=50"


def test_a_day_is_that_of_the_zone_of_the_level(app: TestApp, store: Store, clock: Clock) -> None:
    set_level(store, zone="Pacific/Kiritimati")
    post(app, 1, 50)

    board = app.get("/2/highscorelist?period=day", headers=JSON).json

    assert (board["period"], board["starts_at"]) == ("2026-11-26", "2026-11-25T10:00:00.000Z")
    assert (board["ends_at"], board["closed"]) == ("2026-11-26T10:00:00.000Z", False)


def test_what_was_posted_stays_in_its_period_when_the_zone_changes(app: TestApp, store: Store) -> None:
    post(app, 1, 50)

    set_level(store, zone="Pacific/Kiritimati")
    post(app, 2, 40)

    assert listed(app, "2026-11-25") == "1=50"
    assert listed(app, "2026-11-26") == "2=40"


def test_a_kind_that_is_switched_on_later_is_filled_from_the_submissions(
    app: TestApp, store: Store, clock: Clock
) -> None:
    for user, score in ((1, 50), (1, 30), (2, 40)):
        post(app, user, score, level=3)
        clock.now += DAY

    set_level(store, 3, periods=("day",))

    assert [listed(app, f"day-{back}", level=3) for back in (3, 2, 1, 0)] == ["1=50", "1=30", "2=40", ""]


def test_order_and_keep_hold_in_periods(app: TestApp, store: Store, clock: Clock) -> None:
    set_level(store, 3, periods=("day",), order="asc", keep="sum")
    post(app, 1, 50, level=3)
    clock.now += DAY
    for user, score in ((1, 5), (2, 4), (1, 6)):
        post(app, user, score, level=3)

    assert listed(app, "day", level=3) == "2=4,1=11"
    assert listed(app, "all", level=3) == "2=4,1=61"


# Answers


def test_answers_say_which_period_they_are_of(app: TestApp) -> None:
    post(app, 1, 50)

    for path in LISTS:
        answer = app.get(f"{path}?period=week", headers=JSON).json
        assert {name: answer[name] for name in ("period", "starts_at", "ends_at", "closed")} == {
            "period": "2026-W48",
            "starts_at": "2026-11-23T00:00:00.000Z",
            "ends_at": "2026-11-30T00:00:00.000Z",
            "closed": False,
        }


def test_answers_about_all_time_say_that_alone(app: TestApp) -> None:
    post(app, 1, 50)

    for path in LISTS:
        for query in ("", "?period=all"):
            answer = app.get(path + query, headers=JSON).json
            assert answer["period"] == "all"
            assert answer.keys().isdisjoint({"starts_at", "ends_at", "closed"})


def test_a_period_that_is_over_is_closed(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    assert app.get("/2/highscorelist?period=2026-11-25", headers=JSON).json["closed"] is False

    clock.now += DAY

    assert app.get("/2/highscorelist?period=2026-11-25", headers=JSON).json["closed"] is True


def test_ranks_pages_neighbours_and_subsets_are_those_of_the_period(app: TestApp, clock: Clock) -> None:
    for user in range(1, 8):
        post(app, user, 100 * user)
    clock.now += DAY
    for user in range(1, 6):
        post(app, user, 60 - 10 * user)

    first = app.get("/2/highscorelist?period=day&limit=3", headers=JSON).json
    second = app.get(f"/2/highscorelist?period=day&limit=9&after={first['next']}", headers=JSON).json

    assert [entry["user"] for page in (first, second) for entry in page["entries"]] == [1, 2, 3, 4, 5]
    assert (first["players"], second["next"]) == (5, None)
    assert app.get("/2/rank/2?period=day").text == "2"
    assert app.get("/2/rank/2?period=day-1").text == app.get("/2/rank/2").text == "6"
    assert app.get("/2/around/3?period=day&count=3").text == "2=40,3=30,4=20"
    assert app.get("/2/highscorelist?period=day&users=5,1,6").text == "1=50,5=10"
    assert app.get("/2/highscorelist?period=day&format=lines&limit=1").text == "1\t1\t50\t\n"


def test_a_cursor_of_one_period_is_none_of_another(app: TestApp) -> None:
    post(app, 1, 50)
    post(app, 2, 40)
    cursor = app.get("/2/highscorelist?period=day&limit=1", headers=JSON).json["next"]

    for period in ("all", "week", "day-1"):
        assert refused(app, f"/2/highscorelist?period={period}&after={cursor}", 400) == "bad_cursor"


def test_a_user_without_a_score_in_the_period_has_no_rank_there(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    clock.now += DAY

    assert refused(app, "/2/rank/1?period=day", 404) == "no_score"
    assert refused(app, "/2/around/1?period=day", 404) == "no_score"


def test_a_user_s_scores_in_a_period_are_of_the_levels_that_keep_it(app: TestApp, store: Store, clock: Clock) -> None:
    set_level(store, 3, periods=("day",), order="asc")
    for level in (1, 2, 3):
        post(app, 1, 50 + level, level=level)
    clock.now += DAY
    post(app, 1, 40, level=3)

    assert app.get("/1/scores").text == "1=51,2=52,3=40"
    assert app.get("/1/scores?period=day").text == "3=40"
    assert app.get("/1/scores?period=day-1").text == "2=52,3=53"
    assert app.get("/1/scores?period=week").text == "2=52"
    assert app.get("/1/scores?period=day-1", headers=JSON).json["scores"] == [
        {"level": 2, "score": 52, "rank": 1, "players": 1},
        {"level": 3, "score": 53, "rank": 1, "players": 1},
    ]


def test_a_post_in_json_says_what_it_changed_in_each_period(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    post(app, 2, 60)
    clock.now += DAY

    said = post(app, 1, 40)

    assert said == {
        "improved": False, "best": 50, "previous": 50, "rank": 2, "players": 2,
        "periods": [
            {
                "period": "2026-11-26", "improved": True, "best": 40, "previous": None, "rank": 1, "players": 1,
                "ends_at": "2026-11-27T00:00:00.000Z",
            },
            {
                "period": "2026-W48", "improved": False, "best": 50, "previous": 50, "rank": 2, "players": 2,
                "ends_at": "2026-11-30T00:00:00.000Z",
            },
            {
                "period": "2026-11", "improved": False, "best": 50, "previous": 50, "rank": 2, "players": 2,
                "ends_at": "2026-12-01T00:00:00.000Z",
            },
        ],
    }  # fmt: skip


# The periods that there are


@pytest.mark.parametrize("slice_levels", [1, 2, 1000])
def test_pages_of_scores_in_a_period_are_read_in_slices(
    app: TestApp, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, slice_levels: int
) -> None:
    """A page that has read SLICES_MAX of them ends, also without a score, and says how to go on."""
    monkeypatch.setattr(user_pages, "COUNT_MAX", slice_levels)
    for level in range(30):
        periods = ("day",) if level in (0, 13, 14, 29) else ()
        store.admin.perform("test", SetLevel(level, {"periods": periods})).result()
        store.scores.post(level, 1, 50).result()
    path, found, pages = "/1/scores?period=day&limit=3", [], 0
    while path:
        page = app.get(path, headers=JSON).json
        found += [each["level"] for each in page["scores"]]
        path = page["next"] and f"/1/scores?period=day&limit=3&after={page['next']}"
        pages += 1

    assert found == [0, 13, 14, 29]
    assert pages == {1: 4, 2: 3, 1000: 2}[slice_levels]


def test_the_periods_with_scores_come_newest_first(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    post(app, 2, 60)
    clock.now += 2 * DAY
    post(app, 1, 40)

    assert app.get("/2/periods").text == app.get("/2/periods?kind=day").text == "2026-11-27,2026-11-25"
    assert app.get("/2/periods?kind=week").text == "2026-W48"
    assert app.get("/2/periods?kind=month").text == "2026-11"
    newest, oldest = app.get("/2/periods?kind=day", headers=JSON).json["periods"]
    assert (newest["period"], newest["players"], newest["closed"]) == ("2026-11-27", 1, False)
    assert oldest == {
        "players": 2,
        "first": {"rank": 1, "user": 2, "score": 60, "reached_at": oldest["first"]["reached_at"], "name": None},
        "period": "2026-11-25",
        "starts_at": "2026-11-25T00:00:00.000Z",
        "ends_at": "2026-11-26T00:00:00.000Z",
        "closed": True,
    }


def test_periods_come_in_pages(app: TestApp, clock: Clock) -> None:
    for _ in range(5):
        post(app, 1, 50)
        clock.now += DAY

    pages, after = [], ""
    while after is not None:
        page = app.get(f"/2/periods?limit=2{after and '&after='}{after}", headers=JSON).json
        pages.append([each["period"][-2:] for each in page["periods"]])
        after = page["next"]

    assert pages == [["29", "28"], ["27", "26"], ["25"]]


def test_a_level_without_scores_has_no_periods(app: TestApp) -> None:
    assert app.get("/2/periods").text == ""
    assert app.get("/2/periods", headers=JSON).json == {"level": 2, "periods": [], "next": None}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("kind=year", "bad_value"),
        ("kind=", "bad_value"),
        ("kind=all", "bad_value"),
        ("limit=0", "bad_count"),
        ("after=x", "bad_cursor"),
        ("period=day", "unknown_parameter"),
    ],
)
def test_a_wrong_page_of_periods_is_refused(app: TestApp, query: str, code: str) -> None:
    assert refused(app, f"/2/periods?{query}", 400) == code


def test_a_cursor_of_days_is_none_of_weeks(app: TestApp, clock: Clock) -> None:
    post(app, 1, 50)
    clock.now += DAY
    post(app, 1, 50)
    cursor = app.get("/2/periods?limit=1", headers=JSON).json["next"]

    assert refused(app, f"/2/periods?kind=week&after={cursor}", 400) == "bad_cursor"
    assert refused(app, f"/levels?after={cursor}", 400) == "bad_cursor"


# What is refused


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "period",
    ["", "today", "DAY", "day-", "day--1", "day-999999999", "week-99999999999", "2026-02-30", "2026-W54", "2026-13",
     "2026-11-26", "2026-W49", "2026-12", "9999-12-31", "1969-12-31", "0000-00", "2026-11-25%00"],
)  # fmt: skip
def test_what_is_no_period_or_lies_in_the_future_is_refused(app: TestApp, path: str, period: str) -> None:
    post(app, 1, 50)

    for headers in ({}, JSON):
        response = app.get(f"{path}?period={period}", headers=headers, status=400)
        assert "from 1970 to now" in response.text
    assert response.json["error"]["code"] == "bad_period"


def test_what_is_no_period_is_refused_also_for_a_user_without_scores(app: TestApp) -> None:
    for period in ("2026-11-26", "day-99999999", "today"):
        assert refused(app, f"/9/scores?period={period}", 400) == "bad_period"


def test_a_day_that_has_begun_on_one_level_only_has_the_scores_of_that(app: TestApp, store: Store) -> None:
    set_level(store, 3, periods=("day",), zone="Pacific/Auckland")  # where it is one o'clock
    post(app, 1, 50)
    post(app, 1, 60, level=3)

    assert app.get("/1/scores?period=2026-11-26").text == "3=60"
    assert app.get("/1/scores?period=2026-11-26", headers=JSON).json["period"] == "2026-11-26"
    assert app.get("/1/scores?period=day").text == "2=50,3=60"


def test_a_kind_that_the_level_does_not_keep_is_refused(app: TestApp, store: Store) -> None:
    set_level(store, 3, periods=("week",))
    post(app, 1, 50, level=3)

    for path in ("/3/highscorelist?period=day", "/3/rank/1?period=2026-11-25", "/3/around/1?period=day-1"):
        assert refused(app, path, 404) == "no_such_period"
    assert refused(app, "/3/periods?kind=month", 404) == "no_such_period"
    assert refused(app, "/7/highscorelist?period=week", 404) == "no_such_period"


def test_a_period_that_is_given_twice_is_refused(app: TestApp) -> None:
    assert refused(app, "/2/highscorelist?period=day&period=week", 400) == "repeated_parameter"
