"""Applies `migrations/sqlite/NNNN_name.sql`, each once, in order."""

from __future__ import annotations

from collections.abc import Iterator

from scoresvc.errors import StartError
from scoresvc.storage.migrations import Migration, read_folder
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.progress import progress

# Steps of SQLite's virtual machine that a migration takes a score, about, by the version that it starts from.
MIGRATION_STEPS = {1: 170, 2: 80, 3: 60, 5: 5}


def migrate(database: WritingConnection) -> list[str]:
    """Brings the database up to date in one transaction; returns the names of what was applied.

    Raises StartError where the database is newer than this code, of another program, or cannot be written.
    """
    migrations = read_migrations()
    with database.transaction() as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > migrations[-1].version:
            raise StartError(
                f"the database {database.path} has version {version}, this scoresvc knows {migrations[-1].version} at"
                " most; install a newer scoresvc"
            )
        if _is_of_another_program(connection, version):
            raise StartError(f"{database.path} is the database of another program; name another file")
        missing = [migration for migration in migrations if migration.version > version]
        scores = _count_scores(connection) if version and missing else 0
        with progress(connection, "migration", scores, MIGRATION_STEPS.get(version, 60)):
            for migration in missing:
                _apply(connection, migration)
    return [migration.name for migration in missing]


def read_migrations() -> list[Migration]:
    """Returns all migrations by version."""
    return read_folder("sqlite")


def newest_version() -> int:
    return read_migrations()[-1].version


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in split_statements(migration.sql):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {migration.version}")


def _count_scores(connection: sqlite3.Connection) -> int:
    ((scores,),) = connection.execute("SELECT count(*) FROM scores").fetchall()
    return int(scores)


def _is_of_another_program(connection: sqlite3.Connection, version: int) -> bool:
    names = {name for _, name, *_ in connection.execute("PRAGMA table_list") if not name.startswith("sqlite_")}
    return bool(names) if version == 0 else not {"scores", "sessions"} <= names


def split_statements(sql: str) -> Iterator[str]:
    """Yields the statements of a file; a trigger stays whole."""
    statement = ""
    *pieces, rest = sql.split(";")
    for piece in pieces:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if (statement + rest).strip():
        yield statement + rest
