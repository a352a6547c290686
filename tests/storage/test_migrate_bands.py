"""The migration to bands: of databases of both older versions, and killed at any moment of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scoresvc.storage.pages import BoardId
from scoresvc.storage.sqlite import migrate as module
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import migrate, read_migrations, split_statements
from scoresvc.storage.sqlite.ranks import rank_of
from tests.storage.counts import rank_faults, rebuild
from tests.storage.older import bring_to, make_older_database

PLAYERS = 20_000  # on level 1; levels 2 to 50 have fewer than 50


def make(path: Path, version: int) -> None:
    scores = [(1, user, user * 618_033_989 % 1_000_000, user) for user in range(PLAYERS)]
    scores += [(level, user, user % 7, user) for level in range(2, 51) for user in range(level)]
    make_older_database(path, min(version, 3), scores)
    bring_to(path, version)


def read(path: Path, *queries: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def migrate_at(path: Path) -> list[str]:
    with closing(WritingConnection(path)) as database:
        return migrate(database)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_an_older_database_gets_the_bands_that_a_rebuild_makes(tmp_path: Path, version: int) -> None:
    path = tmp_path / "scores.sqlite3"
    make(path, version)
    counts = "SELECT * FROM bands", "SELECT * FROM boards"

    migrate_at(path)

    migrated = read(path, *counts)
    with closing(sqlite3.connect(path)) as connection:
        assert rank_faults(connection) == []
        assert rank_of(connection, BoardId(1, 0), 500_000) == 1 + sum(
            user * 618_033_989 % 1_000_000 > 500_000 for user in range(PLAYERS)
        )
        rebuild(connection)
        connection.commit()
    assert read(path, *counts) == migrated
    assert len(migrated[1]) == 50


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_score_of_an_older_database_stands_on_the_board_of_all_time(tmp_path: Path, version: int) -> None:
    path = tmp_path / "scores.sqlite3"
    make(path, version)
    (before,) = read(path, "SELECT level_id, 0, user_id, score, reached_at FROM scores ORDER BY 1, 3")

    migrate_at(path)

    (after,) = read(path, "SELECT level_id, period, user_id, score, reached_at FROM scores ORDER BY 1, 3")
    assert len(before) > PLAYERS
    assert after == before


def test_nothing_of_the_blocks_and_groups_is_left(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    make(path, 2)

    migrate_at(path)

    ((names, indexes),) = read(
        path,
        """
        SELECT count(*) FILTER (WHERE sql LIKE '%rank_blocks%' OR sql LIKE '%rank_groups%'),
               count(*) FILTER (WHERE name IN ('scores_by_rank', 'cursor_key'))
          FROM sqlite_schema
        """,
    )[0]
    assert (names, indexes) == (0, 2)


def _migrate_until_killed(path: Path, statement: int, steps: int) -> None:
    """Is killed in that statement of the migration to bands, after so many steps of SQLite's virtual machine."""
    bands = read_migrations()[2]

    with closing(WritingConnection(path)) as database:

        def split(sql: str) -> Iterator[str]:
            for number, each in enumerate(split_statements(sql)):
                if (sql, number) == (bands.sql, statement):
                    database.connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), steps)
                yield each

        module.split_statements = split
        migrate(database)


@pytest.mark.parametrize(("statement", "steps"), [(0, 1), (6, 1), (10, 1), (10, 100_000), (11, 1), (16, 1)])
@pytest.mark.parametrize("version", [1, 2])
def test_a_migration_that_is_killed_leaves_the_old_database_and_is_made_by_the_next_start(
    tmp_path: Path, version: int, statement: int, steps: int
) -> None:
    path = tmp_path / "scores.sqlite3"
    make(path, version)
    whole = (
        "PRAGMA user_version",
        "PRAGMA integrity_check",
        "SELECT type, name, sql FROM sqlite_schema",
        "SELECT * FROM scores",
    )
    before = read(path, *whole)

    process = multiprocessing.get_context("spawn").Process(target=_migrate_until_killed, args=(path, statement, steps))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert read(path, *whole) == before
    assert migrate_at(path) == [migration.name for migration in read_migrations()[version:]]
    with closing(sqlite3.connect(path)) as connection:
        assert rank_faults(connection) == []
