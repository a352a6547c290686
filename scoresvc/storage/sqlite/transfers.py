"""Exports from a database, and imports into it, also while a service runs on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from scoresvc.config import Config
from scoresvc.errors import StartError, Unavailable
from scoresvc.rows import Outcome, Row, Selection
from scoresvc.storage.importing import import_rows
from scoresvc.storage.sqlite.acting import Announcer
from scoresvc.storage.sqlite.connections import connect_reading
from scoresvc.storage.sqlite.control_socket import connect
from scoresvc.storage.sqlite.exporting import count_rows, export_rows
from scoresvc.storage.sqlite.importing import Importing, read_outcomes, write_chunk
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import newest_version
from scoresvc.storage.sqlite.shell import open_versions, open_writer
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transferring import SqliteTransferLedger
from scoresvc.storage.sqlite.writer import Writer
from scoresvc.storage.store import ImportChunk
from scoresvc.storage.transfer_ledger import DryLedger


class FileExport:
    """See `Export`."""

    def __init__(self, connection: sqlite3.Connection, config: Config) -> None:
        self._connection = connection
        self._ledger = SqliteTransferLedger(connection, Touched(), config.levels, 0)

    def count(self, what: str) -> int:
        return count_rows(self._connection, what)

    def rows(self, what: str, selection: Selection) -> Iterator[Row]:
        return export_rows(self._connection, what, selection, lambda level_id: self._ledger.settings_of(level_id).order)


@contextmanager
def open_export(config: Config) -> Iterator[FileExport]:
    """See `storage.open_export`."""
    path = config.database.path.resolve()
    try:
        with _reading(path) as connection:
            yield FileExport(connection, config)
    except sqlite3.Error as error:
        raise StartError(f"cannot read the database {path}: {error}") from None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Lends a connection to a database of this version, that sees one snapshot."""
    if not path.is_file():
        raise StartError(f"there is no database {path}")
    with closing(connect_reading(path)) as connection:
        connection.execute("BEGIN")
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if version != newest_version():
            raise StartError(f"the database {path} has version {version}, not {newest_version()}; run scoresvc migrate")
        yield connection


@contextmanager
def open_import(config: Config) -> Iterator[ImportChunk]:
    """See `storage.open_import`."""
    path = config.database.path.resolve()
    with ExitStack() as stack:
        client = connect(path)
        writer = stack.enter_context(closing(client)) if client else stack.enter_context(open_writer(config))
        versions = stack.enter_context(closing(open_versions(path)))
        change = Importing(Announcer(versions), config, time.time).store

        def store(what: str, rows: list[Any], mode: str) -> list[Outcome]:
            try:
                return writer.begin(change, write_chunk(what, mode, rows), read_outcomes).result()
            except Unavailable:
                fault = writer.state().fault if isinstance(writer, Writer) else "the log of the service says why"
                raise StartError(f"the database takes no writes now: {fault}; import the same file again") from None

        yield store


@contextmanager
def open_dry_import(config: Config) -> Iterator[ImportChunk]:
    """See `storage.open_import`."""
    with _reading(config.database.path.resolve()) as connection:
        options, now, are_unique = config.levels, int(time.time() * 1_000_000), config.users.unique_names
        ledger: Any = DryLedger(SqliteTransferLedger(connection, Touched(), options, now, are_unique))

        def examine(what: str, rows: list[Any], mode: str) -> list[Outcome]:
            return import_rows(ledger, what, rows, mode)

        yield examine
