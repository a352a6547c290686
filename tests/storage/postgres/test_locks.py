"""What nodes do when other sessions are in their way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scoresvc.errors import Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.ranks import PLAYERS_MAX
from scoresvc.storage.postgres.watch import LEND_MAX
from tests.nodes import faults_of, read_bests
from tests.postgres import Cluster
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres

LEVELS = 5


@contextmanager
def locking(url: str, statement: str) -> Iterator[psycopg.Connection]:
    """Another session in the middle of a transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(statement.encode())
        yield connection
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    "statement", ["SELECT FROM boards WHERE level_id = 2 FOR UPDATE", "LOCK TABLE scores IN EXCLUSIVE MODE"]
)
def test_a_lock_that_others_hold_is_503_in_time_and_lists_go_on(url: str, open_node: OpenNode, statement: str) -> None:
    store = open_node(url)
    store.scores.post(2, 7, 5).result()

    with locking(url, statement):
        began = time.monotonic()
        post = store.scores.post(2, 7, 6)
        bests = store.boards.bests(7, WISH_ALL)
        read_in = time.monotonic() - began
        with pytest.raises(Unavailable):
            post.result()
        refused_in = time.monotonic() - began
    store.scores.post(2, 7, 7).result()

    assert bests == [(2, 5)]
    assert read_in < 1
    assert 3 < refused_in < LEND_MAX
    assert store.boards.bests(7, WISH_ALL) == [(2, 7)]


def test_a_level_that_others_lock_fails_alone_and_holds_up_the_others_once(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    for level in range(LEVELS):
        store.scores.post(level, 7, 5).result()

    with locking(url, "SELECT FROM boards WHERE level_id = 2 FOR UPDATE"):
        for score in (6, 7):
            began = time.monotonic()
            posts = {level: store.scores.post(level, 7, score) for level in range(LEVELS)}
            with pytest.raises(Unavailable):
                posts.pop(2).result()
            for post in posts.values():
                post.result()
            took = time.monotonic() - began
    store.scores.post(2, 7, 8).result()

    assert took < 2
    assert store.boards.bests(7, WISH_ALL) == [(level, 8 if level == 2 else 7) for level in range(LEVELS)]
    assert faults_of(url) == []


def test_a_lock_that_a_login_needs_refuses_no_post(
    url: str, open_node: OpenNode, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_node(url)

    with locking(url, "LOCK TABLE sessions IN EXCLUSIVE MODE"):
        login, post = store.sessions.log_in(7), store.scores.post(2, 7, 5)
        with pytest.raises(Unavailable):
            login.result()
        post.result()
    store.sessions.log_in(7).result()

    assert "another session holds a lock that other writes than posts need" in caplog.text
    assert store.boards.bests(7, WISH_ALL) == [(2, 5)]


def test_a_lock_that_is_not_had_in_time_costs_no_connection(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    store.scores.post(2, 7, 5).result()
    before = sessions_of(url)

    with locking(url, "SELECT FROM boards WHERE level_id = 2 FOR UPDATE"), pytest.raises(Unavailable):
        store.scores.post(2, 7, 6).result()

    assert sessions_of(url) == before


def sessions_of(url: str) -> list[tuple[int, ...]]:
    """Returns the processes of the server that serve nodes."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(
            """
            SELECT pid
              FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'scoresvc'
             ORDER BY pid
            """
        ).fetchall()


def test_a_level_that_cannot_be_divided_in_time_holds_up_no_posts(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock(99); RETURN NEW; END $$;
            CREATE TRIGGER wait BEFORE INSERT ON bands FOR EACH ROW EXECUTE FUNCTION wait();
            """
        )

    with locking(url, "SELECT pg_advisory_xact_lock(99)"):
        for write in [store.scores.post(2, user, user) for user in range(PLAYERS_MAX + 1)]:
            write.result()
        began = time.monotonic()
        store.scores.post(3, 7, 5).result()
        store.scores.post(2, 7, 9999).result()
        took = time.monotonic() - began
        undivided = faults_of(url)
    for write in [store.scores.post(2, user, user) for user in range(PLAYERS_MAX + 1, 2 * PLAYERS_MAX + 2)]:
        write.result()
    store.close()  # what follows a post is done

    assert took < 1
    assert undivided == faults_of(url) == []
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM bands WHERE width = 16777216").fetchall() == [(1,)]


def test_reads_behind_a_lock_are_503_in_time_and_leave_no_session_behind(
    url: str, cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(url)
    store.scores.post(2, 7, 5).result()

    with locking(url, "LOCK TABLE scores IN ACCESS EXCLUSIVE MODE"):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.boards.bests(7, WISH_ALL)
        refused_in = time.monotonic() - began
        cluster.wait_for(
            f"""
            SELECT 1
             WHERE NOT EXISTS (SELECT FROM pg_stat_activity
                                WHERE datname = '{url.rpartition("/")[2]}' AND wait_event_type = 'Lock')
            """
        )

    assert refused_in < LEND_MAX + 1
    assert store.boards.bests(7, WISH_ALL) == [(2, 5)]


def test_a_statement_that_takes_too_long_is_503(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
            CREATE TRIGGER dawdle BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION dawdle();
            """
        )
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.scores.post(2, 7, 5).result()
        refused_in = time.monotonic() - began
        connection.execute("DROP FUNCTION dawdle CASCADE")

    store.scores.post(2, 7, 5).result()
    assert refused_in < LEND_MAX + 1


def test_a_deadlock_is_run_again_and_nobody_notices(own_cluster: Cluster, open_node: OpenNode) -> None:
    """Another session has level 2 and wants level 1; the batch has level 1 and wants level 2."""
    url = own_cluster.url("scores")
    store = open_node(url)
    for level in (0, 1, 2):
        store.scores.post(level, 7, 5).result()

    with locking(url, "SELECT FROM boards WHERE level_id = 2 FOR UPDATE") as other:
        other.execute("SET LOCAL deadlock_timeout = '60s'")  # so that it is not the one that gives way
        with locking(url, "SELECT FROM boards WHERE level_id = 0 FOR UPDATE") as first:
            blocker = store.scores.post(0, 7, 6)  # what is posted while it waits becomes one batch
            wait_for_lock(url)
            posts = [store.scores.post(level, 7, 6) for level in (1, 2)]
            first.execute("SELECT 1")
        blocker.result()
        wait_for_lock(url)
        other.execute("SELECT FROM boards WHERE level_id = 1 FOR UPDATE")
        other.execute("SELECT 1")
    for post in posts:
        post.result()

    own_cluster.wait_for("SELECT 1 FROM pg_stat_database WHERE datname = 'scores' AND deadlocks = 1")
    assert store.boards.bests(7, WISH_ALL) == [(0, 6), (1, 6), (2, 6)]
    assert faults_of(url) == []


def wait_for_lock(url: str) -> None:
    """Waits until one of the node's sessions waits for a lock."""
    until = time.monotonic() + 5
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute(
            """
            SELECT 1
              FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'scoresvc' AND wait_event_type = 'Lock'
            """
        ).fetchall():
            assert time.monotonic() < until
            time.sleep(0.01)


def test_transactions_that_cannot_be_serialized_are_run_again(own_cluster: Cluster, open_node: OpenNode) -> None:
    """Where the database is serializable by default, two nodes are in each other's way on every level."""
    with own_cluster.connect() as connection:
        connection.execute("ALTER DATABASE scores SET default_transaction_isolation = 'serializable'")
    url = own_cluster.url("scores")
    stores = [open_node(url) for _ in range(2)]
    acknowledged: list[dict[tuple[int, int], int]] = [{} for _ in range(4)]
    refused: list[int] = []

    def post(user: int) -> None:
        for number in range(100):
            level = number % LEVELS
            try:
                stores[user % 2].scores.post(level, user, number).result()
            except Unavailable:
                refused.append(number)
            else:
                acknowledged[user][level, user] = number

    threads = [threading.Thread(target=post, args=(user,)) for user in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    bests = read_bests(url)
    own_cluster.wait_for("SELECT 1 FROM pg_stat_database WHERE datname = 'scores' AND xact_rollback > 0")
    assert len(refused) < 20
    assert [key for each in acknowledged for key, score in each.items() if bests[key] < score] == []
    assert faults_of(url) == []
