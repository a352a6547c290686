"""A database that Citus distributes over two workers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scoresvc.api.metrics import NAMES
from scoresvc.cli import main
from scoresvc.config import Config, DatabaseOptions, SessionOptions, UserOptions
from scoresvc.errors import Claimed, KeyReused, NameTaken, SecretNeeded, Unavailable
from scoresvc.periods import ALL_TIME, WISH_ALL
from scoresvc.scores import PostDetails, PostResult, Replay
from scoresvc.storage import Store, copy_database, distribute_database, find_faults, open_store, repair
from scoresvc.storage.postgres import distributed, distributed_boards, distributed_posting
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.watch import LEND_MAX
from tests import citus
from tests.citus import CitusCluster, explain, levels_of, names_a_table
from tests.conftest import Clock, high_scores, user_of
from tests.storage.postgres.test_locks import locking
from tests.storage.postgres.test_ranks import make_bands_small, post_and_compare
from tests.storage.test_moderation_model import STEPS, Run

pytestmark = [pytest.mark.postgres, pytest.mark.skipif(bool(citus.why_missing()), reason=citus.why_missing())]

LEVELS = range(40)  # which are on both workers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CitusCluster]:
    cluster = CitusCluster(tmp_path_factory.mktemp("citus"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def new_settings(cluster: CitusCluster, database_path: Path) -> Iterator[Config]:
    """Of a database that is not distributed yet."""
    with cluster.database() as url:
        yield Config(database=DatabaseOptions(path=database_path, url=url))


@pytest.fixture
def settings(new_settings: Config) -> Config:
    distribute_database(new_settings)
    return new_settings


@pytest.fixture
def store(settings: Config) -> Iterator[Store]:
    with closing(open_store(settings, counted=NAMES)) as store:
        yield store


def fill(store: Store) -> None:
    writes = [store.scores.post(2, user, user * 1000) for user in range(3000)]
    for write in writes + [store.scores.post(level, 7, level) for level in LEVELS]:
        write.result()


def answers(store: Store) -> list[object]:
    first = store.boards.page(2, ALL_TIME, 20, None)
    return [
        [high_scores(store, level) for level in (2, 3, 99)],
        first.entries,
        store.boards.page(2, ALL_TIME, 20, first.next),
        store.boards.around(2, ALL_TIME, 1500, 5),
        store.boards.of_users(2, ALL_TIME, [7, 8, 5000]),
        [store.boards.standing(2, ALL_TIME, user) for user in (7, 1500, 5000)],
        store.boards.bests(7, WISH_ALL),
        store.boards.user_scores(7, WISH_ALL),
        store.measure()[:2],
    ]


def execute(settings: Config, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database.url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def test_a_database_with_rows_is_distributed_once_and_answers_as_before(
    new_settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.ini").write_text(f"[database]\nurl = {new_settings.database.url}\n")
    monkeypatch.chdir(tmp_path)
    with closing(open_store(new_settings, counted=NAMES)) as store:
        fill(store)
        key = store.sessions.log_in(7).result().key
        before = answers(store)

    assert [main(["migrate", "--distribute"]) for _ in range(2)] == [0, 0]

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(
        "applied actions, bands, bans, boards, cursor_key, level_settings, scores, scoresvc_schema, sessions,"
        " submissions, tokens, users"
    )
    assert second.endswith("up to date")
    query = "SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'scores'::regclass"
    ((workers,),) = execute(new_settings, query)
    assert workers == 2
    with closing(open_store(new_settings, counted=NAMES)) as store:
        assert answers(store) == before
        assert user_of(store, key) == 7
    assert list(find_faults(new_settings)) == []


def test_every_answer_equals_a_plain_sort(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bands_small(monkeypatch)
    chance = random.Random(3)
    posts = [(chance.randrange(2), chance.randrange(40), chance.randrange(31) * 71_000_000) for _ in range(150)]

    post_and_compare(settings, posts, 3)


def test_the_outcome_of_a_post_is_that_of_its_level(store: Store) -> None:
    writes = [store.scores.post_and_rank(level, user, user) for user in (7, 8, 7) for level in LEVELS]

    outcomes = [write.result() for write in writes]

    assert {(each.improved, each.previous) for each in outcomes[:80]} == {(True, None)}
    assert [each for each in outcomes[80:] if each != PostResult(False, 7, 7, 2, 2)] == []


# Statements


def test_each_statement_of_the_hot_path_runs_on_one_shard(
    settings: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    key = store.sessions.log_in(7).result().key
    store.close()
    execute(settings, "UPDATE boards SET latest_at = 9e15 WHERE level_id = 2")  # so posts there are late
    run: list[tuple[str, Any]] = [
        (
            distributed.LISTS.decode().replace("$1", "%(levels)s").replace("$2", "%(order)s"),
            {"levels": "{2}", "order": "desc"},
        )
    ]
    execute_really = psycopg.Connection.execute

    def note(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        run.append((query.decode() if isinstance(query, bytes) else query, params))
        return execute_really(self, query, params, **options)

    with closing(open_store(settings, counted=NAMES)) as tracked, monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", note)
        tracked.scores.post(2, 7, 4_000_000).result()
        tracked.scores.post(2, 4000, 1).result()
        tracked.scores.post_and_rank(2, 8, 5_000_000).result()
        tracked.boards.page(2, ALL_TIME, 20, tracked.boards.page(2, ALL_TIME, 20, None).next)
        tracked.boards.around(2, ALL_TIME, 1500, 5)
        tracked.boards.of_users(2, ALL_TIME, [7, 8])
        tracked.boards.standing(2, ALL_TIME, 7)
        user_of(tracked, key)
    plans = {query: explain(settings.database.url, query, values) for query, values in run if names_a_table(query)}

    names = ("LOCK", "READ", "LATEST", "SUBMIT", "ENTER", "COUNT", "STORE", "RANK")
    assert {getattr(distributed_posting, name) for name in names} <= set(plans)
    assert distributed_boards.STANDING in plans
    assert len(plans) > 10
    assert [plan for plan in plans.values() if plan.count("Task Count: 1\n") != 1 or "Subplan" in plan] == []


@pytest.mark.parametrize(("durability", "setting"), [("full", "on"), ("process", "off")])
def test_the_settings_of_a_transaction_hold_on_the_workers(settings: Config, durability: str, setting: str) -> None:
    shown = "SELECT current_setting('lock_timeout'), current_setting('synchronous_commit') FROM boards"
    with closing(open_store(settings, counted=NAMES)) as store:
        store.scores.post(2, 7, 5).result()

    with psycopg.connect(settings.database.url, autocommit=True) as connection, connection.transaction():
        connection.execute(distributed.SETTINGS, {"durability": durability, "lock_timeout": "4s"})
        rows = connection.execute(f"{shown} WHERE level_id = 2".encode()).fetchall()

    assert rows == [("4s", setting)]


def test_a_level_that_is_locked_on_its_worker_fails_alone(settings: Config, store: Store) -> None:
    for level in LEVELS:
        store.scores.post(level, 7, 5).result()

    with locking(settings.database.url, "SELECT FROM boards WHERE level_id = 2 FOR UPDATE"):
        began = time.monotonic()
        posts = {level: store.scores.post(level, 7, 6) for level in LEVELS}
        with pytest.raises(Unavailable):
            posts.pop(2).result()
        refused_in = time.monotonic() - began
    for post in posts.values():
        post.result()

    assert 3 < refused_in < LEND_MAX
    assert store.boards.bests(7, WISH_ALL) == [(level, 5 if level == 2 else 6) for level in LEVELS]


# Faults and sessions


def test_the_levels_of_other_workers_go_on_without_one_and_nothing_acknowledged_is_lost(
    cluster: CitusCluster, settings: Config, store: Store
) -> None:
    worker, acknowledged = cluster.workers[0], {}

    def post(score: int) -> set[int]:
        """Returns the levels that take a post."""
        writes = {level: store.scores.post(level, 7, score) for level in LEVELS}
        for level, write in writes.items():
            try:
                write.result()
            except Unavailable:
                continue
            acknowledged[level] = score
        return {level for level, best in acknowledged.items() if best == score}

    assert post(1) == set(LEVELS)
    began, score = time.monotonic(), 2
    while time.monotonic() < began + 1:
        post(score := score + 1)
    worker.kill()
    post(score + 1)
    going_on = post(score + 2)
    worker.start()
    score += 3
    while post(score) != set(LEVELS):
        assert time.monotonic() < began + 30
        score += 1

    assert going_on == {level for (level,) in execute(settings, levels_of(cluster.workers[1].port))}
    assert dict(store.boards.bests(7, WISH_ALL)) == acknowledged
    assert list(find_faults(settings)) == []


def test_sessions_are_found_expire_and_are_purged(settings: Config) -> None:
    short = replace(settings, sessions=SessionOptions(lifetime=1))
    with closing(open_store(short, counted=NAMES)) as store:
        for write in [store.sessions.log_in(user) for user in range(20)]:
            write.result()
    with closing(open_store(settings, counted=NAMES)) as store:
        key = store.sessions.log_in(7).result().key
        until, purged = time.monotonic() + 10, 0
        while purged < 20:
            purged += store.sessions.delete_expired(8)
            assert time.monotonic() < until

        assert purged == 20
    with closing(open_store(settings, counted=NAMES)) as store:
        assert user_of(store, key) == 7


def test_a_login_ends_the_earlier_session_where_a_user_has_one(settings: Config) -> None:
    single = replace(settings, sessions=SessionOptions(one_per_user=True))
    with closing(open_store(single, counted=NAMES)) as store:
        keys = [store.sessions.log_in(7).result().key for _ in range(2)]

        assert [user_of(store, key) for key in keys] == [None, 7]


# Users


def test_users_are_made_claimed_and_named(settings: Config) -> None:
    unique = replace(settings, users=UserOptions(unique_names=True))
    with closing(open_store(unique, counted=NAMES)) as store:
        user = store.sessions.create_user("Ann").result()
        secret = store.users.claim(7).result().secret

        assert user_of(store, user.key) == user.user_id
        assert store.sessions.log_in(7, secret).result().user_id == 7
        with pytest.raises(SecretNeeded):
            store.sessions.log_in(7).result()
        with pytest.raises(Claimed):
            store.users.claim(7).result()
        with pytest.raises(NameTaken):
            store.users.rename(7, "ANN").result()
        external = [store.sessions.log_in_for_server(None, "steam:1", None).result().user_id for _ in range(2)]
        assert external[0] == external[1]
        store.scores.post(2, user.user_id, 1500).result()
        assert [entry.name for entry in store.boards.page(2, ALL_TIME, 15, None).entries] == ["Ann"]
        assert store.admin.user(user.user_id).claimed


def test_a_post_with_a_key_counts_once_on_its_level(store: Store) -> None:
    writes = [
        store.scores.post_and_rank(level, 7, 10, PostDetails("Ann", f"on {level}", f"key-{level}"))
        for level in LEVELS
        for _ in range(2)
    ]
    results = [write.result() for write in writes]

    assert [isinstance(result, Replay) for result in results] == [False, True] * len(LEVELS)
    assert store.boards.bests(7, WISH_ALL) == [(level, 10) for level in LEVELS]
    (entry,) = store.boards.page(3, ALL_TIME, 15, None, has_meta=True).entries
    assert (entry.name, entry.meta) == ("Ann", "on 3")
    with pytest.raises(KeyReused):
        store.scores.post(3, 7, 11, PostDetails(key="key-3")).result()


def test_old_keys_are_purged(settings: Config, clock: Clock) -> None:
    with closing(open_store(settings, clock, NAMES)) as store:
        for number in range(5):
            store.scores.post(number, 7, 10, PostDetails(key=f"key-{number}")).result()
        clock.now += 24 * 3600

        assert [store.scores.delete_old_keys(3) for _ in range(3)] == [3, 2, 0]


# Operators


def test_whatever_happens_every_board_is_what_its_submissions_say(settings: Config, clock: Clock) -> None:
    run = Run(5, settings, clock)
    try:
        for _ in range(STEPS // 2):
            run.step()
    finally:
        run.store.close()

    assert list(find_faults(settings)) == []


# Commands


def test_what_is_wrong_is_said_and_repaired(settings: Config, store: Store) -> None:
    fill(store)
    assert list(find_faults(settings)) == []
    execute(settings, "UPDATE boards SET players = 7 WHERE level_id = 2")
    execute(settings, "DELETE FROM bands WHERE level_id = 2")

    found = "\n".join(find_faults(settings))
    repair(settings)

    assert "level 2 has 3000 players, not 7" in found
    assert "are missing" in found
    assert list(find_faults(settings)) == []


def test_a_database_of_sqlite_is_copied(settings: Config, database_path: Path) -> None:
    with closing(open_store(Config(database=DatabaseOptions(path=database_path)), counted=NAMES)) as old:
        fill(old)
        key = old.sessions.log_in(7).result().key
        before = answers(old)

    rows = copy_database(settings, database_path)

    assert (rows["scores"], rows["submissions"]) == (3000 + len(LEVELS) - 1, 3000 + len(LEVELS))
    assert (rows["sessions"], rows["cursor_key"]) == (1, 1)
    with closing(open_store(settings, counted=NAMES)) as new:
        assert answers(new) == before
        assert user_of(new, key) == 7
    assert list(find_faults(settings)) == []


def test_all_nodes_are_measured(store: Store, settings: Config) -> None:
    store.scores.post(2, 7, 5).result()
    store.scores.post(3, 7, 5).result()
    store.sessions.log_in(7).result()
    ((alone,),) = execute(settings, "SELECT pg_database_size(current_database())")

    sizes = store.measure()

    assert (sizes.sessions, sizes.players) == (1, 1)
    assert sizes.database_bytes > 2 * alone
