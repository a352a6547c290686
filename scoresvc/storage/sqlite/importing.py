"""Stores rows that are imported, in the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from scoresvc.config import Config
from scoresvc.rows import ROW_KINDS, Outcome
from scoresvc.storage.importing import import_rows
from scoresvc.storage.sqlite.acting import Announcer
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Change
from scoresvc.storage.sqlite.transferring import SqliteTransferLedger

IMPORT = "import"  # the name of the change


class Importing:
    """What the writer does for an import; `clock` returns Unix seconds.

    A row of the change is a chunk of rows of one kind, with that and the mode; its output has an outcome for each. Both
    are MessagePack, which another process can read.
    """

    def __init__(self, announcer: Announcer, config: Config, clock: Callable[[], float]) -> None:
        self._announcer = announcer
        self._config = config
        self._clock = clock
        self._touched = Touched()
        self.store = Change(IMPORT, self._import, self._after_commit, comes_last=True)

    def _import(self, connection: sqlite3.Connection, chunks: list[bytes]) -> list[bytes]:
        self._touched = Touched()
        return [self._import_chunk(connection, *msgspec.msgpack.decode(chunk)) for chunk in chunks]

    def _import_chunk(self, connection: sqlite3.Connection, what: str, mode: str, rows: list[list[Any]]) -> bytes:
        ledger = self.make_ledger(connection, self._touched)
        kind = ROW_KINDS[what]
        return msgspec.msgpack.encode(import_rows(ledger, what, [kind(*row) for row in rows], mode))

    def make_ledger(self, connection: sqlite3.Connection, touched: Touched) -> SqliteTransferLedger:
        now, config = int(self._clock() * 1_000_000), self._config
        return SqliteTransferLedger(connection, touched, config.levels, now, config.users.unique_names)

    def _after_commit(self, connection: sqlite3.Connection, chunks: list[bytes], outputs: list[bytes]) -> None:
        self._announcer.announce(connection, self._touched)


def write_chunk(what: str, mode: str, rows: list[Any]) -> bytes:
    return msgspec.msgpack.encode((what, mode, rows))


def read_outcomes(output: bytes) -> list[Outcome]:
    return [Outcome(*fields) for fields in msgspec.msgpack.decode(output)]
