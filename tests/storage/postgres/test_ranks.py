"""Ranks on PostgreSQL: exact whoever posts, and checked."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import Store, find_faults, open_store, repair
from scoresvc.storage.postgres import (
    distributed_posting,
    history,
    ledger_scores,
    posting,
    rank_repair,
    ranks,
    results,
)
from scoresvc.storage.postgres.library import psycopg
from tests.api.test_boards import Model, assert_equal, keep
from tests.conftest import Query, make_app
from tests.postgres import Cluster

SMALL = 4  # players of a band that is not divided, so that bands are divided all the time


@pytest.fixture
def _small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    make_bands_small(monkeypatch)


def make_bands_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ranks, posting, distributed_posting, ledger_scores):
        monkeypatch.setattr(module, "PLAYERS_MAX", SMALL)


posts = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 39), st.integers(0, 30)), max_size=150)


@pytest.mark.usefixtures("_small_bands")
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=posts, spread=st.sampled_from([1, 7, 300, 10**6, 71_000_000]), seed=st.integers(0, 1000))
def test_every_answer_equals_a_plain_sort(
    cluster: Cluster, tmp_path: Path, posts: list[tuple[int, int, int]], spread: int, seed: int
) -> None:
    with cluster.emptied_database() as url:
        settings = Config(database=DatabaseOptions(path=tmp_path / "unused", url=url))
        post_and_compare(settings, [(level, user, score * spread) for level, user, score in posts], seed)


def post_and_compare(settings: Config, posts: Sequence[tuple[int, int, int]], seed: int) -> None:
    """Posts in batches of any length to an empty database, and compares every answer with that of a plain sort."""
    chance, model = random.Random(seed), Model()
    with closing(open_store(settings, counted=NAMES)) as store:
        turn = 0
        while turn < len(posts):
            batch = posts[turn : turn + chance.choice((1, 1, 5, 50))]
            for write in [store.scores.post(*post) for post in batch]:
                write.result()
            for place, (level, user, score) in enumerate(batch, turn):
                keep(model, (level, user), score, place)
            turn += len(batch)
        assert_equal(make_app(store), model, chance)
    assert list(find_faults(settings)) == []


@pytest.mark.usefixtures("_small_bands")
def test_several_nodes_that_post_at_once_keep_every_count(settings: Config) -> None:
    chance = random.Random(1)
    with ExitStack() as stack:
        nodes = [stack.enter_context(closing(open_store(settings, counted=NAMES))) for _ in range(3)]
        writes = []
        for _ in range(1500):
            post = (chance.randrange(3), chance.randrange(60), chance.randrange(40) * chance.choice((1, 1000, 10**7)))
            node = chance.choice(nodes)
            writes.append(node.scores.post(*post) if chance.random() < 0.8 else node.scores.post_and_rank(*post))
        for write in writes:
            write.result()

    assert list(find_faults(settings)) == []
    with psycopg.connect(settings.database.url) as connection:
        wrong = connection.execute(
            """
            SELECT count(*)
              FROM (SELECT level_id, period, score, rank() OVER (PARTITION BY level_id ORDER BY score DESC) AS counted
                      FROM scores) AS ranked
             WHERE rank_of(level_id, period, score) <> counted
            """
        ).fetchone()
        ties = connection.execute(
            "SELECT 1 FROM scores GROUP BY level_id, score, reached_at HAVING count(*) > 1"
        ).fetchall()
    assert wrong == (0,)
    assert ties == []


def test_posts_of_one_batch_that_are_told_their_outcome_agree_with_each_other(store: Store) -> None:
    posts = [(2, 7, 100), (2, 8, 300), (2, 7, 200), (2, 7, 50)]

    outcomes = [write.result() for write in [store.scores.post_and_rank(*post) for post in posts]]

    assert outcomes[-1].best == 200
    assert [outcome.improved for outcome in outcomes] == [True, True, True, False]
    assert [outcome.players for outcome in outcomes][-1] == 2


@pytest.fixture
def filled(settings: Config, store: Store) -> Config:
    for write in [store.scores.post(2, user, user * 1000) for user in range(3000)]:
        write.result()
    return settings


def test_in_a_sound_database_no_problems_are_found(filled: Config) -> None:
    assert list(find_faults(filled)) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE bands SET counts[1] = counts[1] + 1", "level 2: the bands from 0, 16777216 wide, have"),
        ("DELETE FROM bands", "level 2: the bands from 0, 16777216 wide, are missing"),
        ("UPDATE bands SET counts = '{1, 2}'", "level 2: the bands from 0, 16777216 wide, are not 256 counts"),
        ("UPDATE bands SET counts[9] = NULL", "level 2: the bands from 0, 16777216 wide, are not 256 counts"),
        ("UPDATE boards SET players = 7", "level 2 has 3000 players, not 7"),
        (
            "INSERT INTO scores (level_id, period, user_id, score, reached_at) VALUES (3, 0, 1, 1, 1)",
            "level 3 has 1 players, not 0",
        ),
        ("UPDATE boards SET narrowest = 1", "level 2: its narrowest band is"),
    ],
)
def test_what_is_wrong_is_said_and_repaired(filled: Config, query: Query, sql: str, said: str) -> None:
    with psycopg.connect(filled.database.url, autocommit=True) as connection:
        connection.execute(sql)

    assert said in "\n".join(find_faults(filled))
    repair(filled)
    assert list(find_faults(filled)) == []
    assert query("SELECT count(*) FROM scores WHERE level_id = 2 AND rank_of(2, 0, score) <> 3000 - score / 1000") == [
        (0,)
    ]


@pytest.mark.parametrize(
    "sql", ["UPDATE bands SET counts[1] = counts[1] + 7", "DELETE FROM bands", "DELETE FROM scores"]
)
def test_posts_that_come_while_a_repair_is_under_way_are_counted(
    filled: Config, store: Store, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    with psycopg.connect(filled.database.url, autocommit=True) as connection:
        connection.execute(sql)
    users = iter(range(10_000, 20_000))

    def post(*arguments: Any) -> None:
        for user in [next(users) for _ in range(20)]:
            store.scores.post(2, user, user % 50).result()

    for module, name in ((rank_repair, "_change_counts"), (rank_repair, "_count_bands"), (history, "_mend")):
        monkeypatch.setattr(module, name, calling_first(post, getattr(module, name)))
    repair(filled)

    assert next(users) > 10_000
    assert list(find_faults(filled)) == []


def calling_first(before: Callable[..., None], function: Callable[..., None]) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        before()
        function(*arguments)

    return both


def test_a_level_whose_division_was_cut_off_is_divided_by_a_later_post(
    store: Store, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise psycopg.OperationalError("the node has died")

    with monkeypatch.context() as patch:
        patch.setattr(results, "divide", fail)
        for write in [store.scores.post(2, user, user) for user in range(1100)]:
            write.result()
    assert query("SELECT count(*) FROM bands") == [(0,)]

    store.scores.post(2, 5000, 5000).result()
    store.close()  # what follows a post is done

    assert query("SELECT count(*) FROM bands WHERE width = 16777216") == [(1,)]
