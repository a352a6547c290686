"""Checks the ranks and what stands on boards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from tqdm import tqdm

from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.bars import make_bar
from scoresvc.storage.postgres import history, rank_repair, ranks
from scoresvc.storage.postgres.connections import Connection, describe_error, read_snapshot
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.migrate import newest_version, read_version

ROUNDS_MAX = 5  # of a repair of the boards


def find_faults(connection: Connection, options: LevelOptions) -> Iterator[str]:
    """Yields a line for each fault of the database, which it only reads; `options` are of [levels].

    Each part of the check sees the database as it is at one moment. Shows its progress on a terminal. The server itself
    checks tables and indexes, with pg_amcheck. Raises StartError where it is not of this version.
    """
    try:
        known, version = newest_version(), read_version(connection)
        if version != known:
            raise StartError(f"the database has version {version}, not {known}; run scoresvc migrate")
        with read_snapshot(connection):
            rank_faults = [fault.said for fault in ranks.find_faults(connection)]
        yield from rank_faults
        with _board_bar(connection) as bar:
            yield from history.faults(connection, options, bar.update)
    except psycopg.Error as error:
        yield f"the database cannot be read: {describe_error(error)}"


def repair(connection: Connection, options: LevelOptions) -> None:
    """Repairs boards and ranks, in many short transactions, so that nodes can post in between. Raises StartError."""
    try:
        rank_repair.repair(connection)
        for _ in range(ROUNDS_MAX):
            with _board_bar(connection) as bar:
                if not history.repair(connection, options, bar.update):
                    break
    except psycopg.Error as error:
        raise StartError(f"cannot repair the database: {describe_error(error)}") from None


def _board_bar(connection: Connection) -> tqdm[NoReturn]:
    ((scores,),) = connection.execute("SELECT coalesce(sum(players), 0) FROM boards").fetchall()
    return make_bar("boards", int(scores))
