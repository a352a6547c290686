"""The statements of one level, and the threads that post by level, on a server that is not distributed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scoresvc.cli import main
from scoresvc.config import Config, DatabaseOptions
from scoresvc.errors import StartError, Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage import Store, distribute_database, open_store
from scoresvc.storage.migrations import read_script
from scoresvc.storage.postgres import forms
from scoresvc.storage.postgres import store as store_module
from scoresvc.storage.postgres.distributed_writers import THREADS
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.write import Write
from tests.conftest import Clock, high_scores, user_of
from tests.nodes import faults_of
from tests.postgres import Cluster
from tests.storage.postgres.conftest import OpenNode
from tests.storage.postgres.test_locks import locking, wait_for_lock
from tests.storage.postgres.test_ranks import make_bands_small, post_and_compare, posts
from tests.storage.test_moderation_model import STEPS, Run

pytestmark = pytest.mark.postgres

LEVELS = [2, 2 + THREADS, 2 + 2 * THREADS]  # whose posts one thread makes


@pytest.fixture(autouse=True)
def _one_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes every database for one that is distributed."""
    monkeypatch.setattr(forms, "is_distributed", lambda connection: True)


@contextmanager
def one_level_database(cluster: Cluster) -> Iterator[str]:
    """Lends an empty database with the one function that distributing adds to it; yields its URL."""
    with cluster.emptied_database() as url:
        _, begin, function = read_script("postgres", "distribute").partition("CREATE OR REPLACE FUNCTION")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"{begin}{function}".encode())
        yield url


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with one_level_database(cluster) as url:
        yield url


@pytest.fixture
def settings(url: str, database_path: Path) -> Config:
    return Config(database=DatabaseOptions(path=database_path, url=url))


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=posts, spread=st.sampled_from([1, 300, 71_000_000]), seed=st.integers(0, 1000))
def test_every_answer_equals_a_plain_sort(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    posts: list[tuple[int, int, int]],
    spread: int,
    seed: int,
) -> None:
    make_bands_small(monkeypatch)
    with one_level_database(cluster) as url:
        settings = Config(database=DatabaseOptions(path=tmp_path / "unused", url=url))
        post_and_compare(settings, [(level, user, score * spread) for level, user, score in posts], seed)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_every_board_is_what_its_submissions_say(seed: int, settings: Config, clock: Clock) -> None:
    run = Run(seed, settings, clock)
    try:
        for _ in range(STEPS):
            run.step()
    finally:
        run.store.close()

    assert faults_of(settings.database.url) == []


def test_lists_of_several_levels_are_read_at_once(store: Store) -> None:
    for level in LEVELS:
        for user in range(20):
            store.scores.post(level, user, level + user).result()

    reads = [store.boards.high_scores(level) for level in (*LEVELS, 99)]
    texts = [read if isinstance(read, str) else read.result() for read in reads]

    assert texts == [*(",".join(f"{user}={level + user}" for user in range(19, 4, -1)) for level in LEVELS), ""]


@contextmanager
def gathering(store: Store, url: str) -> Iterator[None]:
    """What is posted to LEVELS in a `with` block becomes one batch."""
    store.scores.post(LEVELS[0], 0, 1).result()
    with locking(url, f"SELECT FROM boards WHERE level_id = {LEVELS[0]} FOR UPDATE"):
        first = store.scores.post(LEVELS[0], 0, 2)
        wait_for_lock(url)
        yield
    first.result()


def test_the_outcomes_of_a_batch_of_several_levels_are_those_of_posts_one_by_one(url: str, open_node: OpenNode) -> None:
    """But for best, rank and players, which are those at the end of the batch."""
    store, chance = open_node(url), random.Random(1)
    posts = [(chance.choice(LEVELS), chance.randrange(1, 9), chance.randrange(50)) for _ in range(100)]

    with gathering(store, url):
        writes = [store.scores.post_and_rank(*post) for post in posts]
    outcomes = [write.result() for write in writes]

    bests: dict[tuple[int, int], int] = {}
    for (level, user, score), outcome in zip(posts, outcomes, strict=True):
        previous = bests.get((level, user))
        assert (outcome.previous, outcome.improved) == (previous, previous is None or score > previous)
        bests[level, user] = max(score, previous or 0)
    bests[LEVELS[0], 0] = 2
    for (level, user, _), outcome in zip(posts, outcomes, strict=True):
        rivals = [best for (of, _), best in bests.items() if of == level]
        own = bests[level, user]
        assert (outcome.best, outcome.players) == (own, len(rivals))
        assert outcome.rank == 1 + sum(best > own for best in rivals)
    assert faults_of(url) == []


def test_a_level_that_is_locked_fails_alone(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    store.scores.post(LEVELS[1], 7, 5).result()

    with locking(url, f"SELECT FROM boards WHERE level_id = {LEVELS[1]} FOR UPDATE"):
        with gathering(store, url):
            locked, *others = [store.scores.post(level, 7, 6) for level in (LEVELS[1], LEVELS[0], LEVELS[2])]
        with pytest.raises(Unavailable):
            locked.result()
        for other in others:
            other.result()

    assert store.boards.bests(7, WISH_ALL) == [(LEVELS[0], 6), (LEVELS[1], 5), (LEVELS[2], 6)]


def test_expired_sessions_are_purged_a_few_at_a_time(store: Store, clock: Clock) -> None:
    for user in range(5):
        store.sessions.log_in(user).result()
    clock.now += 1
    key = store.sessions.log_in(7).result().key
    clock.now += Config().sessions.lifetime - 0.5

    assert [store.sessions.delete_expired(3) for _ in range(3)] == [3, 2, 0]
    assert user_of(store, key) == 7


def test_nothing_stays_open_where_a_node_cannot_find_what_the_database_needs(
    settings: Config, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object) -> None:
        raise Unavailable

    threads = threading.active_count()
    monkeypatch.setattr(store_module, "find_forms", fail)

    with pytest.raises(StartError, match="cannot read the database"):
        open_store(settings)

    name = settings.database.url.rpartition("/")[2]
    cluster.wait_for(f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{name}')")
    assert threading.active_count() == threads


def test_a_server_without_citus_is_not_distributed(settings: Config) -> None:
    with pytest.raises(StartError, match="without the extension citus"):
        distribute_database(settings)


def test_a_database_of_sqlite_is_not_distributed(database_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--database", f"{database_path}", "--distribute"]) == 1
    assert "SQLite cannot be distributed" in capsys.readouterr().err


def test_posts_of_one_level_are_made_in_one_thread(url: str, open_node: OpenNode) -> None:
    """So they gather while it is locked, and no other level waits for them."""
    store, done = open_node(url), []

    def note(write: Write[None]) -> None:
        done.append(threading.current_thread().name)

    with gathering(store, url):
        waiting = [store.scores.post(LEVELS[0], user, 3) for user in range(50)]
        for write in waiting:
            write.add_done_callback(note)
        store.scores.post(LEVELS[0] + 1, 7, 3).result()
    for write in waiting:
        write.result()

    assert len(set(done)) == 1
    assert high_scores(store, LEVELS[0] + 1) == "7=3"
