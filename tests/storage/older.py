"""Databases as older versions made them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import read_migrations, split_statements


def make_older_database(path: Path, version: int, scores: Iterable[tuple[int, int, int, int]]) -> None:
    """Makes a database of a version before boards, with scores: level, user, score, time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        for migration in read_migrations()[:version]:
            for statement in split_statements(migration.sql):
                connection.execute(statement)
        connection.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", scores)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


def bring_to(path: Path, version: int) -> None:
    """Applies migrations up to a version, as the scoresvc of that time did."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        ((present,),) = connection.execute("PRAGMA user_version").fetchall()
        connection.execute("BEGIN")
        for migration in read_migrations()[present:version]:
            for statement in split_statements(migration.sql):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
