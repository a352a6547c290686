"""Exports from a database, and imports into it, also while services run on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.rows import Outcome, Row, Selection
from scoresvc.storage.importing import import_rows
from scoresvc.storage.postgres import migrate
from scoresvc.storage.postgres.acting import LOCK_ACTIONS, LOCK_BANS_ALONE
from scoresvc.storage.postgres.clocks import read_now
from scoresvc.storage.postgres.connections import Connection, connect_alone, describe_error
from scoresvc.storage.postgres.exporting import count_rows, export_rows
from scoresvc.storage.postgres.forms import find_forms
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.posting import LOCK_BANS
from scoresvc.storage.postgres.ranks import divide
from scoresvc.storage.postgres.transferring import DistributedTransferLedger, PostgresTransferLedger
from scoresvc.storage.store import ImportChunk
from scoresvc.storage.transfer_ledger import DryLedger

# Each chunk looks for its few rows by an index. While a table grows by an import, its statistics say that it is empty,
# and it would be read as a whole.
PLANS = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"


class ServerExport:
    """See `Export`."""

    def __init__(self, connection: Connection, config: Config) -> None:
        self._connection = connection
        self._ledger = PostgresTransferLedger(connection, config.levels, 0)

    def count(self, what: str) -> int:
        return count_rows(self._connection, what)

    def rows(self, what: str, selection: Selection) -> Iterator[Row]:
        return export_rows(self._connection, what, selection, lambda level_id: self._ledger.settings_of(level_id).order)


@contextmanager
def open_export(config: Config) -> Iterator[ServerExport]:
    """See `storage.open_export`."""
    with closing(connect_alone(config.database.url, "any")) as connection:
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                if not migrate.is_up_to_date(connection):
                    raise StartError("the database is of another version; run scoresvc migrate")
                yield ServerExport(connection, config)
        except psycopg.Error as error:
            raise StartError(f"cannot read the database: {describe_error(error)}") from None


@contextmanager
def open_import(config: Config) -> Iterator[ImportChunk]:
    """See `storage.open_import`."""
    with closing(connect_alone(config.database.url)) as connection:
        migrate.migrate(connection)
        connection.execute(PLANS)
        make_ledger = DistributedTransferLedger if find_forms(connection).is_distributed else PostgresTransferLedger

        def store(what: str, rows: list[Any], mode: str) -> list[Outcome]:
            try:
                with connection.transaction():
                    connection.execute(LOCK_ACTIONS)
                    connection.execute(LOCK_BANS_ALONE if what == "users" else LOCK_BANS)
                    ledger = make_ledger(
                        connection, config.levels, read_now(connection, None), config.users.unique_names
                    )
                    outcomes = import_rows(ledger, what, rows, mode)
                for band in ledger.full:
                    divide(partial(_begin, connection), band)
            except psycopg.Error as error:
                raise StartError(
                    f"cannot write to the database: {describe_error(error)}; import the same file again"
                ) from None
            return outcomes

        yield store


@contextmanager
def _begin(connection: Connection) -> Iterator[Connection]:
    with connection.transaction():
        yield connection


@contextmanager
def open_dry_import(config: Config) -> Iterator[ImportChunk]:
    """See `storage.open_import`."""
    with closing(connect_alone(config.database.url, "any")) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        now, are_unique = read_now(connection, None), config.users.unique_names
        ledger: Any = DryLedger(PostgresTransferLedger(connection, config.levels, now, are_unique))

        def examine(what: str, rows: list[Any], mode: str) -> list[Outcome]:
            return import_rows(ledger, what, rows, mode)

        yield examine
