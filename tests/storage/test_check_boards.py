"""Boards that differ from what bans and submissions say are found and put right, others are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from scoresvc.actions import AnyAction, BanUser, EndBan, RemoveSubmission, SetLevel
from scoresvc.config import Config, HistoryOptions, LevelOptions
from scoresvc.storage import COUNTERS, Store, find_faults, open_store, repair
from scoresvc.storage.sqlite import history, rank_repair
from scoresvc.storage.sqlite.connections import WritingConnection
from tests.conftest import Clock, connect_beside

DAY = 86400.0  # seconds; the clock starts on 2023-11-14


@contextmanager
def opened(settings: Config, clock: Clock) -> Iterator[Store]:
    with closing(open_store(settings, clock, COUNTERS)) as store:
        yield store


def post(store: Store, clock: Clock, level: int, user: int, *scores: int) -> None:
    for score in scores:
        clock.now += 1
        store.scores.post(level, user, score).result()


def act(store: Store, *actions: AnyAction) -> None:
    for action in actions:
        store.admin.perform("operator", action).result()


def run(settings: Config, sql: str) -> None:
    with closing(connect_beside(settings)) as connection:
        for statement in sql.split(";"):
            connection.execute(statement)


def scores_of(settings: Config) -> list[Any]:
    with closing(connect_beside(settings)) as connection:
        rows = connection.execute("SELECT level_id, period, user_id, score, reached_at FROM scores ORDER BY 1, 2, 3")
        return rows.fetchall()


@pytest.fixture
def filled(settings: Config, clock: Clock) -> Config:
    """Level 1 keeps the best, 2 the lowest, 3 the latest, 4 sums, 5 sums the other way round; all have days.

    Users 7 and 8 have posted 5, 9, 9 and 6 to each, yesterday 8; user 8's posts of today but the first are removed.
    """
    with opened(settings, clock) as store:
        act(
            store,
            SetLevel(1, {"periods": ["day"]}),
            SetLevel(2, {"periods": ["day"], "order": "asc"}),
            SetLevel(3, {"periods": ["day"], "keep": "latest"}),
            SetLevel(4, {"periods": ["day"], "keep": "sum"}),
            SetLevel(5, {"periods": ["day"], "keep": "sum", "order": "asc"}),
        )
        for level in range(1, 6):
            for user in (7, 8):
                post(store, clock, level, user, 8)
        clock.now += DAY
        for level in range(1, 6):
            for user in (7, 8):
                post(store, clock, level, user, 5, 9, 9, 6)
            newest = store.admin.submissions(level, 8, None, 3, None).submissions
            act(store, *[RemoveSubmission(each.id) for each in newest])
    return settings


def test_boards_that_are_as_their_submissions_say_have_no_faults(filled: Config) -> None:
    assert list(find_faults(filled)) == []


OF_8 = "level_id = {} AND user_id = 8 AND period = 0"
NEVER = 1_800_000_000_000_000  # Unix microseconds; nothing was posted at that time


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        # A ban
        (
            "INSERT INTO bans (user_id, hide, reason) VALUES (7, true, '')",
            "level 5, 2023-11-15: user 7 is banned, but stands there",
        ),
        # A score that is missing
        (
            "DELETE FROM scores WHERE level_id = 3 AND period = 0",
            "level 3: user 7 has a submission that stands, but no",
        ),
        ("DELETE FROM scores WHERE level_id = 1 AND period > 0", "level 1, 2023-11-14: user 8 has a submission that"),
        # A score that was edited
        ("UPDATE scores SET score = 1000 WHERE level_id = 1", "level 1: user 7 has another score than the submission"),
        ("UPDATE scores SET score = 1000 WHERE level_id = 2", "level 2, 2023-11-15: user 8 has another score than the"),
        ("UPDATE scores SET score = 1000 WHERE level_id = 3", "level 3: user 8 has another score than the submission"),
        ("UPDATE scores SET score = 1 WHERE level_id = 4", "level 4: user 7 has submissions with a higher sum than"),
        (
            "UPDATE scores SET score = 2147483647 WHERE level_id = 5",
            "level 5: user 8 has submissions with a higher sum",
        ),
        # A time that was edited
        (
            "UPDATE scores SET reached_at = reached_at + 2000000",
            "level 1: user 7 has another score than the submission",
        ),
        (f"UPDATE scores SET reached_at = {NEVER} WHERE level_id = 1", "level 1: user 7 reached the score earlier"),
        (f"UPDATE scores SET reached_at = {NEVER} WHERE level_id = 2", "level 2: user 7 reached the score earlier"),
        (
            "UPDATE scores SET reached_at = 5 WHERE level_id = 3",
            "level 3: user 7 has a later submission than the score",
        ),
        (
            "UPDATE scores SET reached_at = 5 WHERE level_id = 5",
            "level 5: user 8 has a later submission than the score",
        ),
        # Submissions whose state was edited
        ("UPDATE submissions SET state = 1", "level 1: user 7 stands there with a submission that is held"),
        ("UPDATE submissions SET state = 2", "level 4: user 7 stands there with a submission that is removed"),
        ("UPDATE submissions SET state = 0", "level 1: user 8 stands there with another submission than it should"),
        ("UPDATE submissions SET state = 0", "level 3: user 8 stands there with another submission than it should"),
        ("UPDATE submissions SET state = 0", "level 4: user 8 has submissions with a higher sum than the score"),
        ("UPDATE submissions SET day = 20231101", "level 1, 2023-11-14: user 7 stands there with another submission"),
        # Settings
        ("UPDATE level_settings SET settings = '{\"keep\": 1}'", "level 1 has settings that cannot be read"),
    ],
)
def test_what_differs_is_said_and_repaired(filled: Config, sql: str, said: str) -> None:
    run(filled, sql)

    faults = list(find_faults(filled))
    repair(filled)

    assert said in "\n".join(faults)
    left = [fault for fault in find_faults(filled) if "settings that cannot be read" not in fault]
    assert left == []


@pytest.mark.sqlite
def test_settings_that_are_not_json_are_a_fault(filled: Config) -> None:
    run(filled, "UPDATE level_settings SET settings = '{' WHERE level_id = 2")

    assert list(find_faults(filled)) == ["level 2 has settings that cannot be read"]


def test_a_repair_puts_back_what_stood_there(filled: Config) -> None:
    before = scores_of(filled)
    run(filled, "UPDATE scores SET score = 1000 WHERE level_id < 4; DELETE FROM scores WHERE level_id > 3")

    repair(filled)

    assert scores_of(filled) == before


# What history does not reach


@pytest.mark.parametrize("keep", ["best", "latest", "sum"])
@pytest.mark.parametrize("order", ["desc", "asc"])
def test_scores_that_were_posted_without_history_are_believed(
    settings: Config, clock: Clock, order: str, keep: str
) -> None:
    without = replace(settings, history=HistoryOptions(keep=False))
    with opened(without, clock) as store:
        act(store, SetLevel(1, {"order": order, "keep": keep, "periods": ["day", "month"]}))
        post(store, clock, 1, 7, 50)
        post(store, clock, 1, 8, 50)
    with opened(settings, clock) as store:
        post(store, clock, 1, 7, 40, 50, 60)
        post(store, clock, 1, 9, 7)
    with opened(without, clock) as store:
        post(store, clock, 1, 7, 30, 50, 70, 0, 55)
        post(store, clock, 1, 9, 0)
    before = scores_of(settings)

    assert list(find_faults(settings)) == []
    repair(settings)
    assert scores_of(settings) == before


def test_a_better_score_of_another_time_than_all_submissions_is_believed(filled: Config) -> None:
    run(filled, f"UPDATE scores SET score = 1000, reached_at = {NEVER} WHERE level_id IN (1, 4)")

    assert list(find_faults(filled)) == []


def test_periods_that_were_let_go_are_not_missing(settings: Config, clock: Clock) -> None:
    settings = replace(settings, levels=LevelOptions(periods=("day", "month"), keep_days=2))
    with opened(settings, clock) as store:
        for _ in range(5):
            post(store, clock, 1, 7, 5)
            clock.now += DAY
        while store.admin.maintain(2) == 2:
            pass

    assert list(find_faults(settings)) == []


def test_periods_of_a_kind_that_a_level_no_longer_has_are_left_but_by_who_is_banned(filled: Config) -> None:
    run(filled, "UPDATE level_settings SET settings = '{}'; DELETE FROM scores WHERE period > 0 AND user_id = 8")
    assert [fault for fault in find_faults(filled) if "2023" in fault and "user" in fault] == []

    run(filled, "INSERT INTO bans (user_id, hide, reason) VALUES (7, false, '')")
    assert len([fault for fault in find_faults(filled) if "2023" in fault and "user" in fault]) == 10


def test_the_end_of_a_ban_is_no_fault(filled: Config, clock: Clock) -> None:
    with opened(filled, clock) as store:
        act(store, BanUser(7))
        assert list(find_faults(filled)) == []
        act(store, EndBan(7))

    assert list(find_faults(filled)) == []


def test_a_kind_of_period_that_is_switched_on_for_all_levels_is_filled_by_a_repair(
    settings: Config, clock: Clock
) -> None:
    with opened(settings, clock) as store:
        post(store, clock, 1, 7, 5)
    settings = replace(settings, levels=LevelOptions(periods=("month",)))

    assert list(find_faults(settings)) == ["level 1, 2023-11: user 7 has a submission that stands, but no score"]
    repair(settings)

    assert [row[:4] for row in scores_of(settings)] == [(1, 0, 7, 5), (1, 202311, 7, 5)]
    assert list(find_faults(settings)) == []


# Beside others


class Watch:
    """Counts the rows that each transaction of a repair changes, and lets something happen before each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: Any = None) -> None:
        self.steps: list[int] = []
        transaction = WritingConnection.transaction

        @contextmanager
        def watched(database: WritingConnection) -> Iterator[Any]:
            if before:
                before()
            with transaction(database) as connection:
                changes = connection.total_changes
                yield connection
                self.steps.append(connection.total_changes - changes)

        monkeypatch.setattr(WritingConnection, "transaction", watched)


# What another process writes.
POST = """
    INSERT INTO submissions (level_id, user_id, score, posted_at, day) VALUES (1, {user}, 700, {user}, 20231114);
    INSERT INTO scores (level_id, period, user_id, score, reached_at) VALUES (1, 0, {user}, 700, {user});
"""
REMOVAL = """
    INSERT INTO actions (acted_at, actor, kind, before, after) VALUES (1, 'operator', 'remove', '{}', '{}');
    UPDATE submissions SET state = 2 WHERE level_id = 2 AND user_id = 9;
"""


@pytest.fixture
def many(settings: Config, clock: Clock) -> Config:
    """5,000 users on level 1, 2,500 on level 2, and 1,000 levels with a user."""
    with opened(settings, clock) as store:
        posts = [(level, user, user % 1500) for level in (1, 2) for user in range(5000 // level)]
        posts += [(1000 + level, 1, level) for level in range(1000)]
        while posts:
            for write in [store.scores.post(*each) for each in posts[:1000]]:
                write.result()
            del posts[:1000]
    return settings


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE scores SET score = score + 1",
        "DELETE FROM scores WHERE user_id > 100",
        "INSERT INTO bans (user_id, hide, reason) VALUES (1, true, '')",
        "UPDATE boards SET players = players + 1",
        "DELETE FROM bands; DELETE FROM boards",
    ],
)
def test_no_step_of_a_repair_changes_more_than_some_rows(
    many: Config, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    run(many, sql)
    watch = Watch(monkeypatch)

    repair(many)

    # A score changes two counts besides, at most; the bands of one board are replaced at once.
    assert watch.steps
    assert max(watch.steps) <= 5 * max(history.STEP, rank_repair.STEP)
    assert list(find_faults(many)) == []


@pytest.mark.sqlite
def test_nothing_is_written_where_nothing_is_wrong(many: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch)

    repair(many)

    assert watch.steps == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM scores WHERE user_id > 100",
        "UPDATE bands SET players = players + 7",
        "DELETE FROM bands",
        "UPDATE boards SET players = 0; UPDATE bands SET width = 1",
    ],
)
def test_posts_in_between_are_kept_and_counted(many: Config, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    run(many, sql)
    users = count(10_000)
    Watch(monkeypatch, lambda: run(many, POST.format(user=next(users))))
    repair(many)
    posted = next(users) - 10_000

    assert posted > 0
    assert len([row for row in scores_of(many) if row[2] >= 10_000]) == posted
    assert list(find_faults(many)) == []


@pytest.mark.sqlite
def test_a_score_that_is_removed_in_between_stays_removed(many: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    run(many, "DELETE FROM scores WHERE level_id = 2 AND user_id = 9")
    Watch(monkeypatch, lambda: run(many, REMOVAL))

    repair(many)

    assert [row for row in scores_of(many) if (row[0], row[2]) == (2, 9)] == []
    assert list(find_faults(many)) == []
