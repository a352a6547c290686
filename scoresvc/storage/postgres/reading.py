"""Reads that wait for the server, and the refusal to wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import Connection, ConnectionPool
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.store import WouldBlock


class Reader(Protocol):
    def read(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Returns all rows of one query. Raises Unavailable where the database cannot be read."""

    def snapshot(self) -> Any:
        """Lends a connection whose queries all see the same commits. Raises Unavailable as `read` does."""


class WaitingReader:
    """For threads. A query that the server fails is sent once more, maybe to another one: it has changed nothing."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def read(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._read(sql, values)
        except Unavailable:
            return self._read(sql, values)

    def _read(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._pool.lend_for_reading() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def read_raw(self, sql: bytes, values: Sequence[str]) -> list[tuple[Any, ...]]:
        """As `read`, for a query that is written as the server has it, with $1."""
        try:
            return self._read_raw(sql, values)
        except Unavailable:
            return self._read_raw(sql, values)

    def _read_raw(self, sql: bytes, values: Sequence[str]) -> list[tuple[Any, ...]]:
        with self._pool.lend_for_reading() as connection:
            return psycopg.RawCursor(connection).execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._pool.lend_for_reading() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
            connection.execute("COMMIT")


class RefusingReader:
    """For an event loop: raises WouldBlock instead of waiting."""

    def read(self, sql: str, values: Mapping[str, Any]) -> NoReturn:
        raise WouldBlock

    def snapshot(self) -> NoReturn:
        raise WouldBlock

    def refuse(self) -> NoReturn:
        """Is for other functions that would wait."""
        raise WouldBlock
