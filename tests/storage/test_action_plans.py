"""What SQLite does for an action on one user: no more than the user's part of a level."""

from __future__ import annotations

from contextlib import closing

import pytest

from scoresvc.actions import Action, BanUser, RemoveScore
from scoresvc.config import Config
from scoresvc.storage.moderation import perform
from scoresvc.storage.sqlite.ledger import SqliteLedger
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.maintenance import DELETE_SCORES, DELETE_SUBMISSIONS
from scoresvc.storage.sqlite.migrate import read_migrations, split_statements
from scoresvc.storage.sqlite.touched import Touched

pytestmark = pytest.mark.sqlite


def connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in read_migrations():
        for statement in split_statements(migration.sql):
            connection.execute(statement)
    connection.execute("INSERT INTO scores (level_id, period, user_id, score, reached_at) VALUES (1, 0, 7, 100, 5)")
    return connection


def steps(connection: sqlite3.Connection, sql: str, values: dict[str, int]) -> list[str]:
    return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]


def goes_through_a_level(step: str) -> bool:
    return step.startswith(("SCAN scores", "SCAN submissions")) or (
        " scores " in step and step.endswith("(level_id=?)")
    )


@pytest.mark.parametrize("action", [RemoveScore(1, 7, 0), BanUser(7)])
def test_an_action_on_a_user_does_not_go_through_the_level(action: Action) -> None:
    with closing(connect()) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        assert perform(SqliteLedger(connection, Touched(), Config().levels, 0), "operator", action, 0)
        connection.set_trace_callback(None)

        queries = [each for each in statements if each.lstrip().startswith("SELECT")]

        assert queries
        assert [step for query in queries for step in steps(connection, query, {}) if goes_through_a_level(step)] == []


@pytest.mark.parametrize("statement", [DELETE_SUBMISSIONS, DELETE_SCORES])
def test_a_purge_does_not_go_through_a_level(statement: str) -> None:
    names = ("after", "last", "posted_before", "keep", "level_id", "period", "count")
    with closing(connect()) as connection:
        found = steps(connection, statement, dict.fromkeys(names, 1))

    assert found
    assert [step for step in found if goes_through_a_level(step)] == []
