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
        "SELECT level_id, period, user_id, score, reached_at FROM scores",
        "COPY scores (level_id, period, user_id, score, reached_at) FROM STDIN",
    ),
    "submissions": Table(
        """
        SELECT submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before,
               follows
          FROM submissions
        """,
        """
        COPY submissions (submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before,
                          follows)
        FROM STDIN
        """,
    ),
    "level_settings": Table(
        "SELECT level_id, settings FROM level_settings", "COPY level_settings (level_id, settings) FROM STDIN"
    ),
    "bans": Table(
        "SELECT user_id, until, iif(hide, 'true', 'false'), reason FROM bans",
        "COPY bans (user_id, until, hide, reason) FROM STDIN",
    ),
    "users": Table(
        "SELECT user_id, secret_hash, name, folded_name, external FROM users",
        "COPY users (user_id, secret_hash, name, folded_name, external) FROM STDIN",
    ),
    "keyed_posts": Table(
        "SELECT user_id, key, level_id, score, stored_at, answer FROM keyed_posts",
        "COPY keyed_posts (user_id, key, level_id, score, stored_at, answer) FROM STDIN",
    ),
    "tokens": Table(
        "SELECT name, token_hash, rights, levels, expires_at FROM tokens",
        "COPY tokens (name, token_hash, rights, levels, expires_at) FROM STDIN",
    ),
    "actions": Table(
        """
        SELECT action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after, undoes
          FROM actions
        """,
        """
        COPY actions (action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after, undoes)
        FROM STDIN
        """,
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
            connection.execute("TRUNCATE sessions, cursor_key, level_settings, bans, users, keyed_posts, tokens")
            rows = {name: _copy(name, table, source, connection) for name, table in TABLES.items()}
            ranks.rebuild(connection)
            _go_on_numbering(source, connection)
    except sqlite3.Error as error:
        raise StartError(f"cannot read {path}: {error}") from None
    except psycopg.Error as error:
        raise StartError(f"cannot write to the database: {describe_error(error)}") from None
    connection.execute("ANALYZE scores, bands, boards, submissions")
    return rows


def _refuse_other_version(source: sqlite3.Connection, path: Path) -> None:
    ((version,),) = source.execute("PRAGMA user_version").fetchall()
    if version != newest_version():
        raise StartError(f"the database {path} has version {version}, not {newest_version()}; run scoresvc migrate")


def _refuse_scores(connection: Connection) -> None:
    connection.execute("LOCK TABLE boards, scores, submissions, actions IN EXCLUSIVE MODE")
    for query in ("SELECT FROM scores LIMIT 1", "SELECT FROM submissions LIMIT 1", "SELECT FROM actions LIMIT 1"):
        if connection.execute(query.encode()).rowcount:
            raise StartError("the database has scores already; copy into an empty one")


def _go_on_numbering(source: sqlite3.Connection, connection: Connection) -> None:
    """Lets new submissions get higher numbers than all that there were."""
    rows = source.execute("SELECT seq FROM sqlite_sequence WHERE name = 'submissions'").fetchall()
    if rows:
        connection.execute("SELECT setval(pg_get_serial_sequence('submissions', 'submission_id'), %s)", rows[0])


def _copy(name: str, table: Table, source: sqlite3.Connection, connection: Connection) -> int:
    count = 0
    with connection.cursor() as cursor, cursor.copy(table.copy.encode()) as copy:
        for row in tqdm(_rows(source, table.select), desc=name, unit=" rows", unit_scale=True, disable=None):
            copy.write_row(row)
            count += 1
    return count


def _rows(source: sqlite3.Connection, select: str) -> Iterator[tuple[Any, ...]]:
    yield from source.execute(select)
