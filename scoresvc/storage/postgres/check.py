"""Checks the ranks and the tables."""

from __future__ import annotations

from collections.abc import Iterator

from scoresvc.errors import StartError
from scoresvc.storage.postgres import ranks
from scoresvc.storage.postgres.connections import Connection, describe_error
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.migrate import newest_version, read_version


def find_faults(connection: Connection) -> Iterator[str]:
    """Yields a line for each fault of the database, which it only reads, as it is at one moment.

    The server itself checks tables and indexes, with pg_amcheck. Raises StartError where it is not of this version.
    """
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        known, version = newest_version(), read_version(connection)
        if version != known:
            raise StartError(f"the database has version {version}, not {known}; run scoresvc migrate")
        yield from ranks.faults(connection)
        connection.execute("COMMIT")
    except psycopg.Error as error:
        yield f"the database cannot be read: {describe_error(error)}"


def repair(connection: Connection) -> None:
    """Rebuilds the ranks and the indexes from the scores, in one transaction. Raises StartError."""
    try:
        with connection.transaction():
            ranks.rebuild(connection)
            connection.execute("REINDEX TABLE scores")
    except psycopg.Error as error:
        raise StartError(f"cannot write to the database: {describe_error(error)}") from None
