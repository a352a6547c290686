from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.storage.pages import BoardId
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import read_migrations, split_statements
from scoresvc.storage.sqlite.ranks import players_of, rank_of
from tests.storage.counts import rank_faults, rebuild

SCORE_MAX = 2**31 - 1
LEVELS = range(3)

Scores = dict[tuple[int, int], int]  # (level, user): score
Change = Callable[[sqlite3.Connection, Scores], None]


def connect_with_bands_of(players: int) -> sqlite3.Connection:
    """Returns an empty database whose bands split above `players`, and merge at half of that."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in read_migrations():
        sql = re.sub(r"\b4096\b", f"{players}", re.sub(r"\b2048\b", f"{players // 2}", migration.sql))
        for statement in split_statements(sql):
            connection.execute(statement)
    return connection


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Two levels of 20 players each, in bands of at most 4."""
    with closing(connect_with_bands_of(4)) as connection:
        for level in (1, 2):
            for user in range(20):
                insert(connection, level, user, user * 10)
        rebuild(connection)
        yield connection


def insert(connection: sqlite3.Connection, level: int, user: int, score: int) -> None:
    connection.execute("INSERT INTO scores VALUES (?, 0, ?, ?, 0)", (level, user, score))


def count_rows(connection: sqlite3.Connection, table: str) -> int:
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(rows)


# Against a model

levels = st.sampled_from(LEVELS)
users = st.integers(0, 30)
scores = st.one_of(
    st.integers(0, 12), st.integers(0, 3000), st.integers(0, SCORE_MAX), st.integers(SCORE_MAX - 3, SCORE_MAX)
)


def post(batch: list[tuple[int, int, int]]) -> Change:
    """Keeps the best, as the service does."""

    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.executemany(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            VALUES (?, 0, ?, ?, 0)
            ON CONFLICT (level_id, period, user_id)
              DO UPDATE SET score = excluded.score,
                            reached_at = excluded.reached_at
                      WHERE excluded.score > scores.score
            """,
            batch,
        )
        for level, user, score in batch:
            model[level, user] = max(score, model.get((level, user), score))

    return change


def set_score(level: int, user: int, score: int) -> Change:
    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute("UPDATE scores SET score = ? WHERE level_id = ? AND user_id = ?", (score, level, user))
        if (level, user) in model:
            model[level, user] = score

    return change


def set_all_scores(level: int, score: int) -> Change:
    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute("UPDATE scores SET score = ? WHERE level_id = ?", (score, level))
        model.update({(of, user): score for of, user in model if of == level})

    return change


def delete(level: int, first_user: int, last_user: int) -> Change:
    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute(
            "DELETE FROM scores WHERE level_id = ? AND user_id BETWEEN ? AND ?", (level, first_user, last_user)
        )
        for user in range(first_user, last_user + 1):
            model.pop((level, user), None)

    return change


def set_user(level: int, user: int, new_user: int) -> Change:
    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute(
            "UPDATE OR IGNORE scores SET user_id = ? WHERE level_id = ? AND user_id = ?", (new_user, level, user)
        )
        if (level, user) in model and (level, new_user) not in model:
            model[level, new_user] = model.pop((level, user))

    return change


def set_level(level: int, new_level: int) -> Change:
    """Moves all users of a level who have no score on the new one."""

    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute("UPDATE OR IGNORE scores SET level_id = ? WHERE level_id = ?", (new_level, level))
        for of, user in list(model):
            if of == level and (new_level, user) not in model:
                model[new_level, user] = model.pop((level, user))

    return change


def set_level_and_scores(level: int, new_level: int, score: int) -> Change:
    """Moves them as above, and adds up to `score` to theirs."""

    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute(
            "UPDATE OR IGNORE scores SET level_id = ?, score = min(score + ?, ?) WHERE level_id = ?",
            (new_level, score, SCORE_MAX, level),
        )
        for of, user in list(model):
            if of == level and (level == new_level or (new_level, user) not in model):
                model[new_level, user] = min(model.pop((level, user)) + score, SCORE_MAX)

    return change


def insert_if_new(level: int, user: int, score: int) -> Change:
    def change(connection: sqlite3.Connection, model: Scores) -> None:
        connection.execute("INSERT OR IGNORE INTO scores VALUES (?, 0, ?, ?, 0)", (level, user, score))
        model.setdefault((level, user), score)

    return change


def rebuild_all() -> Change:
    return lambda connection, model: rebuild(connection)


changes = st.one_of(
    st.builds(post, st.lists(st.tuples(levels, users, scores), min_size=1, max_size=25)),
    st.builds(post, st.lists(st.tuples(st.just(1), users, st.integers(0, 12)), min_size=10, max_size=25)),
    st.builds(set_score, levels, users, scores),
    st.builds(set_all_scores, levels, scores),
    st.builds(delete, levels, users, users),
    st.builds(set_user, levels, users, users),
    st.builds(set_level, levels, levels),
    st.builds(set_level_and_scores, levels, levels, scores),
    st.builds(insert_if_new, levels, users, scores),
    st.builds(rebuild_all),
)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(changes, max_size=25), band_players=st.sampled_from([2, 4, 9]))
def test_ranks_and_players_are_exact_whatever_is_changed_in_scores(changes: list[Change], band_players: int) -> None:
    model: Scores = {}
    with closing(connect_with_bands_of(band_players)) as connection:
        for change in changes:
            change(connection, model)

            for level in LEVELS:
                of_level = [score for (of, _), score in model.items() if of == level]
                assert players_of(connection, BoardId(level, 0)) == len(of_level)
                for score in {0, 5, SCORE_MAX, *of_level}:
                    assert rank_of(connection, BoardId(level, 0), score) == 1 + sum(other > score for other in of_level)
            assert rank_faults(connection) == []


edits = st.one_of(
    st.tuples(st.just("UPDATE bands SET players = ? WHERE lowest_score % 3 = ?"), st.integers(-9, 99), users),
    st.tuples(st.just("UPDATE boards SET players = ? WHERE level_id = ?"), st.integers(-9, 99), levels),
    st.tuples(st.just("DELETE FROM bands WHERE level_id = ? AND lowest_score <= ?"), levels, scores),
    st.tuples(st.just("DELETE FROM boards WHERE level_id IN (?, ?)"), levels, levels),
    st.tuples(st.just("INSERT OR REPLACE INTO bands VALUES (1, 0, ?, 1, ?)"), scores, st.integers(-9, 99)),
    st.tuples(st.just("UPDATE bands SET width = 1 << ? WHERE level_id = ?"), st.integers(0, 31), levels),
)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.one_of(edits, changes), max_size=25))
def test_counts_that_somebody_has_edited_refuse_no_score_and_can_be_rebuilt(
    steps: list[tuple[Any, ...] | Change],
) -> None:
    model: Scores = {}
    with closing(connect_with_bands_of(4)) as connection:
        for step in steps:
            if isinstance(step, tuple):
                connection.execute(step[0], step[1:])
            else:
                step(connection, model)
        rebuild(connection)

        assert rank_faults(connection) == []
        assert count_rows(connection, "scores") == len(model)


# Bands


def test_a_level_of_few_players_has_no_bands() -> None:
    with closing(connect_with_bands_of(4)) as connection:
        for user in range(4):
            insert(connection, 1, user, user)

        assert count_rows(connection, "bands") == 0
        rebuild(connection)
        assert count_rows(connection, "bands") == 0


def test_a_band_of_too_many_players_splits_into_halves() -> None:
    with closing(connect_with_bands_of(4)) as connection:
        for user in range(5):
            insert(connection, 1, user, user * 2**28)
        assert connection.execute("SELECT lowest_score, width, players FROM bands").fetchall() == [(0, 2**31, 5)]

        insert(connection, 1, 5, 5 * 2**28)

        rows = connection.execute("SELECT lowest_score, width, players FROM bands").fetchall()
        assert rows == [(0, 2**30, 4), (2**30, 2**30, 2)]


def test_halves_merge_when_few_players_are_left_in_them() -> None:
    with closing(connect_with_bands_of(4)) as connection:
        for user in range(6):
            insert(connection, 1, user, user * 2**28)

        connection.execute("DELETE FROM scores WHERE user_id > 1")

        assert connection.execute("SELECT lowest_score, width, players FROM bands").fetchall() == [(0, 2**31, 2)]


def test_players_with_equal_scores_stay_in_one_band() -> None:
    with closing(connect_with_bands_of(4)) as connection:
        for user in range(100):
            insert(connection, 1, user, 77)

        assert connection.execute("SELECT players FROM bands WHERE lowest_score = 77").fetchall() == [(100,)]
        assert count_rows(connection, "bands") == 32  # a half is left behind at each of 31 splits


def test_scores_that_rise_for_ever_leave_no_trail_of_bands() -> None:
    chance = random.Random(1)
    with closing(connect_with_bands_of(64)) as connection:
        for user in range(500):
            insert(connection, 1, user, 0)
        for lowest in range(0, 10_000_000, 1_000_000):
            for user in chance.sample(range(500), 500):
                score = lowest + chance.randrange(1_000_000)
                connection.execute("UPDATE scores SET score = ? WHERE user_id = ?", (score, user))

        assert count_rows(connection, "bands") < 2 * count_rows(connection, "counted_bands")


def test_a_level_whose_last_player_leaves_has_no_players(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM scores WHERE level_id = 1")

    assert (players_of(connection, BoardId(1, 0)), rank_of(connection, BoardId(1, 0), 0)) == (0, 1)
    assert rank_faults(connection) == []


# Faults


def test_counts_that_are_right_have_no_faults(connection: sqlite3.Connection) -> None:
    assert rank_faults(connection) == []


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (
            "UPDATE bands SET players = 3 WHERE level_id = 2 AND lowest_score = 0",
            "level 2: the band from 0 has 4 players, not 3",
        ),
        ("DELETE FROM bands WHERE level_id = 2 AND lowest_score = 0", "level 2 has its first band from 32, not from 0"),
        (
            "DELETE FROM bands WHERE level_id = 2 AND lowest_score = 32",
            "level 2: the band from 0 to 64 cannot be 32 wide",
        ),
        ("INSERT INTO bands VALUES (2, 0, 16, 16, 2)", "level 2: the band from 0 to 16 cannot be 32 wide"),
        ("INSERT INTO bands VALUES (9, 0, 0, 2147483648, 1)", "level 9: the band from 0 has 0 players, not 1"),
        ("INSERT INTO bands VALUES (2, 0, -4, 4, 0)", "level 2 has its first band from -4, not from 0"),
        ("UPDATE bands SET width = 31, lowest_score = 1 WHERE lowest_score = 0", "the band from 1 to 32 cannot be 31"),
        ("UPDATE boards SET players = 19 WHERE level_id = 2", "level 2 has 20 players, not 19"),
        ("DELETE FROM boards", "level 1 has 20 players, not 0"),
        ("INSERT INTO boards VALUES (9, 0, 1)", "level 9 has 0 players, not 1"),
        ("REPLACE INTO scores VALUES (2, 0, 19, 0, 0)", "level 2 has 20 players, not 21"),
        ("UPDATE OR REPLACE scores SET user_id = 0 WHERE user_id = 19", "the band from 0 has 3 players, not 4"),
    ],
)
def test_a_fault_is_found_and_rebuilt(connection: sqlite3.Connection, sql: str, fault: str) -> None:
    connection.execute(sql)

    assert fault in "\n".join(rank_faults(connection))

    rebuild(connection)
    assert rank_faults(connection) == []


def test_a_large_level_without_bands_is_a_fault() -> None:
    with closing(connect_with_bands_of(4096)) as connection:
        for user in range(4097):
            insert(connection, 1, user, user)
        connection.execute("DELETE FROM bands")

        assert rank_faults(connection) == ["level 1 has 4097 players, but no bands"]


def test_a_replace_that_fires_delete_triggers_is_no_fault(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA recursive_triggers = ON")
    for user in range(20):
        connection.execute("REPLACE INTO scores VALUES (2, 0, ?, ?, 0)", (user, user % 3))

    assert rank_faults(connection) == []
