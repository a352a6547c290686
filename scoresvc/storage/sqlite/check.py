"""Checks the database: ranks, indexes and what stands on boards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.bars import make_bar
from scoresvc.storage.sqlite import history, rank_repair, ranks
from scoresvc.storage.sqlite.connections import WritingConnection, connect_reading
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import read_migrations, split_statements
from scoresvc.storage.sqlite.progress import progress

# Steps of SQLite's virtual machine that a check takes a score, about.
INDEX_STEPS = 60
RANK_STEPS = 12

ROUNDS_MAX = 5  # of a repair of the boards

INDEX = re.compile(r"index (\w+)")


def find_faults(path: Path, options: LevelOptions = LevelOptions()) -> Iterator[str]:
    """Yields a line for each fault of the database at `path`, which it only reads; `options` are of [levels].

    Each part of the check sees the database as it is at one moment. Shows its progress on a terminal. Raises StartError
    where there is no database of this version.
    """
    if not path.is_file():
        raise StartError(f"there is no database {path}")
    with closing(connect_reading(path)) as connection:
        try:
            _refuse_other_versions(connection, path)
            yield from _schema_faults(connection)
            with progress(connection, "ranks", _count_scores(connection), RANK_STEPS):
                rank_faults = [fault.said for fault in ranks.find_faults(connection)]
            yield from rank_faults
            yield from _history_faults(connection, options)
            yield from _index_faults(connection)
        except sqlite3.DatabaseError as error:
            yield f"the database cannot be read: {error}"


def repair(database: WritingConnection, options: LevelOptions = LevelOptions()) -> None:
    """Repairs indexes, boards and ranks. Raises StartError.

    What is wrong is found without a lock and put right in many short transactions, so that others can write in between.
    An index that is damaged is an exception: it is made again in one transaction.
    """
    with closing(connect_reading(database.path)) as reader:
        try:
            for index in _damaged_indexes(reader):
                with database.transaction() as connection:
                    connection.execute(f'REINDEX "{index}"')
            # Before scores are put right: a trigger that opens or splits bands counts them, where counts are wrong.
            rank_repair.repair(database, reader)
            for _ in range(ROUNDS_MAX):
                with _board_bar(reader) as bar:
                    if not history.repair(database, reader, options, bar.update):
                        break
        except sqlite3.DatabaseError as error:
            raise StartError(f"cannot repair the database {database.path}: {error}") from None


def _damaged_indexes(connection: sqlite3.Connection) -> list[str]:
    """Returns the indexes that SQLite finds fault with."""
    named = {name for fault in _index_faults(connection) for name in INDEX.findall(fault)}
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    return sorted(name for (name,) in rows if name in named)


def _refuse_other_versions(connection: sqlite3.Connection, path: Path) -> None:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    known = read_migrations()[-1].version
    if version != known:
        raise StartError(f"the database {path} has version {version}, not {known}; run scoresvc migrate")


def _schema_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Finds tables, indexes, views and triggers that are not as the migrations make them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for migration in read_migrations():
            for statement in split_statements(migration.sql):
                fresh.execute(statement)
        right, found = _schema(fresh), _schema(connection)
    for kind, name in sorted(right.keys() - found.keys()):
        yield f"the {kind} {name} is missing"
    for kind, name in sorted(key for key in right.keys() & found.keys() if right[key] != found[key]):
        yield f"the {kind} {name} is not as the migrations make it"


def _schema(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {(kind, name): sql for kind, name, sql in rows}


def _index_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Lets SQLite check the whole file, with every score in every index."""
    with progress(connection, "indexes", _count_scores(connection), INDEX_STEPS):
        rows = connection.execute("PRAGMA integrity_check").fetchall()
    yield from (str(found) for (found,) in rows if found != "ok")


def _history_faults(connection: sqlite3.Connection, options: LevelOptions) -> Iterator[str]:
    with _board_bar(connection) as bar:
        yield from history.faults(connection, options, bar.update)


def _board_bar(connection: sqlite3.Connection) -> tqdm[NoReturn]:
    return make_bar("boards", _count_scores(connection))


def _count_scores(connection: sqlite3.Connection) -> int:
    ((scores,),) = connection.execute("SELECT coalesce(sum(players), 0) FROM boards").fetchall()
    return int(scores)
