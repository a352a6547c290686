"""Checks the database: ranks, indexes and what stands on boards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from scoresvc.errors import StartError
from scoresvc.storage.sqlite import history, ranks
from scoresvc.storage.sqlite.connections import WritingConnection, connect_reading
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import read_migrations, split_statements

STEPS_PER_TICK = 100_000  # of SQLite's virtual machine, between two moves of the bar
STEPS_PER_SCORE = 60  # that the check of the indexes takes, about


def find_faults(path: Path) -> Iterator[str]:
    """Yields a line for each fault of the database at `path`, which it only reads, as it is at one moment.

    Shows its progress on a terminal. Raises StartError where there is no database of this version.
    """
    if not path.is_file():
        raise StartError(f"there is no database {path}")
    with closing(connect_reading(path)) as connection:
        try:
            connection.execute("BEGIN")
            _refuse_other_versions(connection, path)
            yield from _schema_faults(connection)
            yield from ranks.faults(connection)
            yield from history.faults(connection)
            yield from _index_faults(connection)
        except sqlite3.DatabaseError as error:
            yield f"the database cannot be read: {error}"


def repair(database: WritingConnection) -> None:
    """Rebuilds the ranks and the indexes from the scores, in one transaction. Raises StartError."""
    with database.transaction() as connection:
        connection.execute("REINDEX scores")
        ranks.rebuild(connection)


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
    scores = _count_scores(connection)
    with _bar("indexes", scores) as bar:

        def tick() -> None:
            bar.update(min(STEPS_PER_TICK // STEPS_PER_SCORE, scores - bar.n))

        connection.set_progress_handler(tick, STEPS_PER_TICK)
        rows = connection.execute("PRAGMA integrity_check").fetchall()
        bar.update(scores - bar.n)
    yield from (str(found) for (found,) in rows if found != "ok")


def _count_scores(connection: sqlite3.Connection) -> int:
    ((scores,),) = connection.execute("SELECT coalesce(sum(players), 0) FROM boards").fetchall()
    return int(scores)


def _bar(name: str, scores: int) -> tqdm[NoReturn]:
    return tqdm(desc=name, total=scores, unit=" scores", unit_scale=True, disable=None)
