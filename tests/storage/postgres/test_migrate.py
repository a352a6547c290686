"""Migrations on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.periods import ALL_TIME, WISH_ALL
from scoresvc.storage import find_faults, migrate_database, open_store
from scoresvc.storage.migrations import Migration
from scoresvc.storage.postgres import migrate as module
from scoresvc.storage.postgres.library import is_fault, psycopg
from tests.conftest import high_scores
from tests.nodes import read_bests
from tests.running import Posts
from tests.storage.postgres.conftest import OpenNode, StartNode
from tests.storage.postgres.test_locks import locking, wait_for_lock


def test_an_empty_database_is_brought_up_to_date_once(new_settings: Config) -> None:
    names = [migration.name for migration in module.read_migrations()]

    assert migrate_database(new_settings) == names
    assert migrate_database(new_settings) == []


def test_of_nodes_that_migrate_at_once_one_does_it(new_settings: Config) -> None:
    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(migrate_database, [new_settings] * 6))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, 0, len(module.read_migrations())]


def test_a_migration_that_fails_leaves_nothing(new_settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    good = module.read_migrations()[0]
    monkeypatch.setattr(module, "read_migrations", lambda: [good, Migration(2, "0002_bad", "SELECT nothing")])

    with pytest.raises(StartError, match="cannot bring the database up to date"):
        migrate_database(new_settings)

    monkeypatch.undo()
    assert good.name in migrate_database(new_settings)


def test_a_database_that_is_newer_than_the_code_is_refused(new_settings: Config) -> None:
    migrate_database(new_settings)
    with psycopg.connect(new_settings.database.url) as connection:
        connection.execute("INSERT INTO scoresvc_schema VALUES (9999)")

    with pytest.raises(StartError, match="has version 9999"):
        migrate_database(new_settings)
    with pytest.raises(StartError, match="has version 9999"):
        list(find_faults(new_settings))


def test_a_database_with_tables_of_another_program_is_refused_and_left_alone(new_settings: Config) -> None:
    with psycopg.connect(new_settings.database.url) as connection:
        connection.execute("CREATE TABLE scores (name text)")

    with pytest.raises(StartError, match="already exists"):
        migrate_database(new_settings)


def test_a_node_of_the_version_before_goes_on_over_a_migration(
    new_settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(new_settings)) as old:
        old.scores.post(2, 7, 1500).result()
        later = Migration(9999, "9999_names", "ALTER TABLE scores ADD COLUMN name text")
        migrations = [*module.read_migrations(), later]
        monkeypatch.setattr(module, "read_migrations", lambda: migrations)

        with closing(open_store(new_settings)) as new:
            old.scores.post(2, 8, 1600).result()
            new.scores.post(2, 9, 1700).result()

            assert high_scores(old, 2) == high_scores(new, 2) == "9=1700,8=1600,7=1500"


@pytest.fixture
def first_version(new_settings: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Of a database as the first version of the tables left it, with players on a level that has bands."""
    first = module.read_migrations()[0]
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_migrations", lambda: [first])
        migrate_database(new_settings)
    with psycopg.connect(new_settings.database.url) as connection:
        connection.execute(
            """
            INSERT INTO scores (level_id, user_id, score, previous, reached_at)
            SELECT 2, user_id, user_id * 1000, 5, 1000 + user_id FROM generate_series(0, 1999) AS user_id;
            INSERT INTO levels (level_id, players, narrowest) VALUES (2, 2000, 16777216);
            INSERT INTO bands (level_id, width, lowest_score, counts)
            SELECT 2, 16777216, 0, add_counts(array_fill(0, '{256}'), '{1}', '{2000}');
            """
        )
    return new_settings


def test_the_scores_of_the_first_version_are_boards_of_all_time(first_version: Config) -> None:
    with closing(open_store(first_version)) as store:
        standing = store.boards.standing(2, ALL_TIME, 1500)
        store.scores.post(2, 7, 1_999_000).result()

        assert standing is not None
        assert (standing.score, standing.rank, standing.players, standing.reached_at) == (1_500_000, 500, 2000, 2500)
        assert high_scores(store, 2).startswith("1999=1999000,7=1999000,1998=1998000,")
    assert list(find_faults(first_version)) == []


def test_a_node_of_the_first_version_is_told_that_the_server_cannot_serve_it(first_version: Config) -> None:
    """So it answers 503 until it is started again."""
    migrate_database(first_version)
    old_statements = (
        """
        INSERT INTO levels AS level (level_id, players) SELECT level_id, 0 FROM unnest('{2}'::int[]) AS level_id
            ON CONFLICT (level_id) DO UPDATE SET players = level.players
        """,
        "SELECT rank_of(level_id, score), levels.players FROM scores JOIN levels USING (level_id) WHERE user_id = 7",
    )
    with psycopg.connect(first_version.database.url, autocommit=True) as connection:
        for statement in old_statements:
            with pytest.raises(psycopg.OperationalError) as caught:
                connection.execute(statement)
            assert is_fault(caught.value)


def test_a_node_under_load_goes_on_over_a_migration(
    new_settings: Config, node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_settings.database.url
    server = node(url)
    posts = Posts(server)
    posts.wait_for(200)
    later = Migration(
        9999, "9999_names", "ALTER TABLE scores ADD COLUMN name text; ALTER TABLE boards ADD COLUMN name text"
    )
    migrations = [*module.read_migrations(), later]
    monkeypatch.setattr(module, "read_migrations", lambda: migrations)

    applied = migrate_database(new_settings)
    posts.wait_for(len(posts.acknowledged) + 200)
    listed = server.call("GET", "/1/highscorelist")
    posts.stop()

    bests = read_bests(url)
    assert applied == ["9999_names"]
    assert listed == (200, "7=1")
    assert posts.refused == posts.cut_off == []
    assert [post for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert "Traceback" not in server.log


def test_a_migration_that_somebody_keeps_from_its_tables_gives_up_before_posts_do(
    new_settings: Config, open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a backup; every post would wait behind the migration."""
    url = new_settings.database.url
    store = open_node(url)
    later = Migration(9999, "9999_names", "ALTER TABLE scores ADD COLUMN name text")
    migrations = [*module.read_migrations(), later]
    monkeypatch.setattr(module, "read_migrations", lambda: migrations)

    with locking(url, "LOCK TABLE scores IN ACCESS SHARE MODE"), ThreadPoolExecutor(1) as pool:
        migrating = pool.submit(migrate_database, new_settings)
        wait_for_lock(url)
        store.scores.post(2, 7, 5).result()
        with pytest.raises(StartError, match="canceling statement due to lock timeout"):
            migrating.result()

    assert migrate_database(new_settings) == ["9999_names"]
    assert store.boards.bests(7, WISH_ALL) == [(2, 5)]


def test_a_migration_in_a_deadlock_is_run_again(new_settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts lock `boards` before `scores`; a migration may change them in another order."""
    migrate_database(new_settings)
    later = Migration(
        9999, "9999_names", "ALTER TABLE scores ADD COLUMN name text; ALTER TABLE boards ADD COLUMN name text"
    )
    migrations = [*module.read_migrations(), later]
    monkeypatch.setattr(module, "read_migrations", lambda: migrations)
    url = new_settings.database.url

    with ThreadPoolExecutor(1) as pool:
        with locking(url, "LOCK TABLE boards IN ROW EXCLUSIVE MODE") as other:
            other.execute("SET LOCAL deadlock_timeout = '60s'")  # so that it is not the one that gives way
            migrating = pool.submit(migrate_database, new_settings)
            wait_for_lock(url)
            other.execute("LOCK TABLE scores IN ROW EXCLUSIVE MODE")

        assert migrating.result() == ["9999_names"]
