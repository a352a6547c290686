"""Reads that wait for the server, and the refusal to wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.postgres.pool import ConnectionPool
from scoresvc.storage.store import WouldBlock

REPEATED_WITHIN = 1.0  # seconds

T = TypeVar("T")

Rows = list[tuple[Any, ...]]


class Reader(Protocol):
    def read(self, sql: str, values: Mapping[str, Any]) -> Rows:
        """Returns all rows of one query. Raises Unavailable where the database cannot be read."""

    def read_snapshot(self, read: Callable[[Connection], T]) -> T:
        """Returns what `read` returns for a connection whose queries all see the same commits. Raises Unavailable."""

    def snapshot(self) -> Any:
        """Lends a connection whose queries all see the same commits. Raises Unavailable as `read` does."""


class WaitingReader:
    """For threads.

    A query that the server fails is sent once more, maybe to another one: it has changed nothing. But not where the
    failure took long: so would the next one.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def read(self, sql: str, values: Mapping[str, Any]) -> Rows:
        return _twice(partial(self._read, sql, values))

    def _read(self, sql: str, values: Mapping[str, Any]) -> Rows:
        with self._pool.lend_for_reading() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def read_raw(self, sql: bytes, values: Sequence[str]) -> Rows:
        """As `read`, for a query that is written as the server has it, with $1."""
        return _twice(partial(self._read_raw, sql, values))

    def _read_raw(self, sql: bytes, values: Sequence[str]) -> Rows:
        with self._pool.lend_for_reading() as connection:
            return psycopg.RawCursor(connection).execute(sql, values).fetchall()

    def read_snapshot(self, read: Callable[[Connection], T]) -> T:
        return _twice(partial(self._read_snapshot, read))

    def _read_snapshot(self, read: Callable[[Connection], T]) -> T:
        with self.snapshot() as connection:
            return read(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._pool.lend_for_reading() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
            connection.execute("COMMIT")


def _twice(read: Callable[[], T]) -> T:
    started = time.monotonic()
    try:
        return read()
    except Unavailable:
        if time.monotonic() - started > REPEATED_WITHIN:
            raise
        return read()


class RefusingReader:
    """For an event loop: raises WouldBlock instead of waiting."""

    def read(self, sql: str, values: Mapping[str, Any]) -> NoReturn:
        raise WouldBlock

    def read_snapshot(self, read: Callable[[Connection], T]) -> NoReturn:
        raise WouldBlock

    def snapshot(self) -> NoReturn:
        raise WouldBlock

    def refuse(self) -> NoReturn:
        """Is for other functions that would wait."""
        raise WouldBlock
