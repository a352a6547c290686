"""What SQLite does for the queries of the hot path, as the store really runs them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from scoresvc.config import Config
from scoresvc.periods import ALL_TIME, WISH_ALL
from scoresvc.storage import Store, open_store
from scoresvc.storage.sqlite import connections
from scoresvc.storage.sqlite.library import sqlite3

pytestmark = pytest.mark.sqlite

QUESTIONS: dict[str, Callable[[Store, str], object]] = {
    "the high-score list": lambda store, key: store.boards.high_scores(2),
    "the first page": lambda store, key: store.boards.page(2, ALL_TIME, 15, None),
    "a page of a thousand": lambda store, key: store.boards.page(2, ALL_TIME, 1000, None),
    "the next page": lambda store, key: store.boards.page(2, ALL_TIME, 5, store.boards.page(2, ALL_TIME, 5, None).next),
    "the neighbours": lambda store, key: store.boards.around(2, ALL_TIME, 7, 15),
    "a rank": lambda store, key: store.boards.standing(2, ALL_TIME, 7),
    "some users": lambda store, key: store.boards.of_users(2, ALL_TIME, [7, 8]),
    "a user's bests": lambda store, key: store.boards.bests(7, WISH_ALL),
    "a user's scores": lambda store, key: store.boards.user_scores(7, WISH_ALL),
    "a session": lambda store, key: store.sessions.find(key),
}


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All queries, values included, that the readers which are opened from now on run."""
    caught: list[str] = []
    connect = connections.connect_reading

    def note(statement: str) -> None:
        if statement.split()[0] in ("SELECT", "WITH"):
            caught.append(statement)

    def connect_traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(note)
        return connection

    monkeypatch.setattr(connections, "connect_reading", connect_traced)
    return caught


def explain(path: Path, query: str) -> str:
    """Returns the plan of a query, one line for each step."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_scans_a_table(question: str, settings: Config, queries: list[str]) -> None:
    with closing(open_store(settings)) as store:
        for user in range(30):
            store.scores.post(2, user, 1000 + user).result()
        key = store.sessions.log_in(7).result().key
        queries.clear()

        QUESTIONS[question](store, key)
        asked = list(queries)

    assert asked
    for query in asked:
        plan = explain(settings.database.path, query)
        assert "SCAN scores" not in plan
        assert "SCAN sessions" not in plan


def test_the_high_score_list_is_read_from_the_index_alone(settings: Config, queries: list[str]) -> None:
    with closing(open_store(settings)) as store:
        queries.clear()

        store.boards.high_scores(2)
        (query,) = [query for query in queries if "group_concat" in query]

    plan = explain(settings.database.path, query)
    assert "COVERING INDEX scores_by_rank" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("question", ["the first page", "a page of a thousand", "the next page", "the neighbours"])
def test_a_page_is_read_from_the_index_alone_and_only_what_is_returned_is_sorted(
    question: str, settings: Config, queries: list[str]
) -> None:
    with closing(open_store(settings)) as store:
        for user in range(30):
            store.scores.post(2, user, 1000 + user).result()
        queries.clear()

        QUESTIONS[question](store, "")
        pages = [query for query in queries if "UNION ALL" in query]

    assert pages
    for page in pages:
        steps = explain(settings.database.path, page).splitlines()
        assert sum("COVERING INDEX scores_by_rank" in step for step in steps) == 2
        sorted_steps = [before for before, step in pairwise(steps) if "TEMP B-TREE" in step]
        # Each has a LIMIT, and the names are looked up for what is left.
        assert all(
            step.startswith(("SCAN (subquery", "SEARCH users USING INTEGER PRIMARY KEY")) for step in sorted_steps
        )


def test_of_some_users_each_is_looked_up(settings: Config, queries: list[str]) -> None:
    with closing(open_store(settings)) as store:
        queries.clear()

        QUESTIONS["some users"](store, "")
        (query,) = [query for query in queries if "json_each" in query]

    assert "SEARCH found USING PRIMARY KEY (user_id=? AND level_id=? AND period=?)" in explain(
        settings.database.path, query
    )


def test_of_a_user_on_many_levels_each_score_is_looked_up(settings: Config, queries: list[str]) -> None:
    with closing(open_store(settings)) as store:
        queries.clear()

        QUESTIONS["a user's bests"](store, "")
        (query,) = [query for query in queries if "json_each" in query]

    assert "SEARCH scores USING PRIMARY KEY (user_id=? AND level_id=? AND period=?)" in explain(
        settings.database.path, query
    )
