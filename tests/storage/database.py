"""A database with its writer in a thread, whose changes are any functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scoresvc.storage.sqlite.connections import Readers, WritingConnection
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.transactions import Change, Transactions
from scoresvc.storage.sqlite.writer import Writer, end_process
from scoresvc.storage.write import Write

Apply = Callable[[sqlite3.Connection, list[Any]], Iterable[Any]]


class Database:
    def __init__(self, path: Path, durability: str = "full", on_broken: Callable[[], None] = end_process) -> None:
        self._connection = WritingConnection(path, durability)
        self._connection.prepare_for_writer()
        self.transactions = Transactions(self._connection.connection, self._connection.verify_files)
        self.writer = Writer(self.transactions, on_broken)
        self.readers = Readers(self._connection.path)
        self._changes: dict[Apply, Change[Any, Any]] = {}

    def write(self, apply: Apply, row: Any) -> Any:
        return self.begin(apply, row).result()

    def begin(self, apply: Apply, row: Any, convert: Callable[[Any], Any] = lambda output: output) -> Write[Any]:
        change = self._changes.setdefault(apply, Change(apply.__name__, apply))
        return self.writer.begin(change, row, convert)

    def read(self, sql: str) -> list[Any]:
        return self.readers.read(sql, {})

    def close(self) -> None:
        self.readers.close()
        self.writer.stop()
        self._connection.close()
