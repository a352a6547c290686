"""Copies a database of SQLite, which holds the same, into an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from scoresvc.errors import StartError
from scoresvc.storage.postgres import ranks
from scoresvc.storage.postgres.connections import Connection, describe_error
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.sqlite.connections import connect_reading
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import newest_version


class Table(NamedTuple):
    select: str  # of SQLite
    copy: str  # of PostgreSQL


TABLES = {
    "scores": Table(
        "SELECT level_id, user_id, score, reached_at FROM scores",
        "COPY scores (level_id, user_id, score, reached_at) FROM STDIN",
    ),
    "sessions": Table(
        "SELECT key_hash, user_id, expires_at FROM sessions",
        "COPY sessions (key_hash, user_id, expires_at) FROM STDIN",
    ),
    "cursor_key": Table("SELECT key FROM cursor_key", "COPY cursor_key (key) FROM STDIN"),
}


def copy_database(path: Path, connection: Connection) -> dict[str, int]:
    """Copies all of the file at `path`, as it is at one moment, in one transaction; returns the rows of each table.

    Shows its progress on a terminal. Raises StartError where there is no database of this version, where the one that
    is copied to has scores, or where either fails.
    """
    if not path.is_file():
        raise StartError(f"there is no database {path}")
    try:
        with closing(connect_reading(path)) as source, connection.transaction():
            source.execute("BEGIN")
            _refuse_other_version(source, path)
            _refuse_scores(connection)
            connection.execute("TRUNCATE sessions, cursor_key")
            rows = {name: _copy(name, table, source, connection) for name, table in TABLES.items()}
            ranks.rebuild(connection)
    except sqlite3.Error as error:
        raise StartError(f"cannot read {path}: {error}") from None
    except psycopg.Error as error:
        raise StartError(f"cannot write to the database: {describe_error(error)}") from None
    connection.execute("ANALYZE scores, bands, levels")
    return rows


def _refuse_other_version(source: sqlite3.Connection, path: Path) -> None:
    ((version,),) = source.execute("PRAGMA user_version").fetchall()
    if version != newest_version():
        raise StartError(f"the database {path} has version {version}, not {newest_version()}; run scoresvc migrate")


def _refuse_scores(connection: Connection) -> None:
    connection.execute("LOCK TABLE levels, scores IN EXCLUSIVE MODE")
    if connection.execute("SELECT FROM scores LIMIT 1").rowcount:
        raise StartError("the database has scores already; copy into an empty one")


def _copy(name: str, table: Table, source: sqlite3.Connection, connection: Connection) -> int:
    count = 0
    with connection.cursor() as cursor, cursor.copy(table.copy.encode()) as copy:
        for row in tqdm(_rows(source, table.select), desc=name, unit=" rows", unit_scale=True, disable=None):
            copy.write_row(row)
            count += 1
    return count


def _rows(source: sqlite3.Connection, select: str) -> Iterator[tuple[Any, ...]]:
    yield from source.execute(select)
