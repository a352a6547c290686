"""High-score lists, those of many requests in one query.

Theory of operation: a list costs the server a tenth of a millisecond, and a tenth of that in a query for many. So those
that are asked for while a query is at the server go into the next one. For threads, `ThreadLists` does this in a thread
of its own. For an event loop, `LoopLists` does it in the loop: libpq sends and receives without blocking, and the loop
calls `_receive` when something has arrived. To hand a query to a thread and back costs more than the query.

The loop's connection is in libpq's pipeline mode, with a sync after each query: as soon as `QUERY_MIN` lists have
gathered, their query is sent, while the loop goes on to read requests. So the server works on one half while the node
works on the other; with one query at a time each of the two waits for the other.

Whatever goes wrong with the loop's connection, its lists and those that follow go to `ThreadLists`, which sends a query
again, finds the new primary or a standby, or refuses; meanwhile a thread connects again for the loop. A server that
falls silent is noticed by the pool, which cuts the connection.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import psycopg, write_array
from scoresvc.storage.postgres.pool import RETRY_INTERVAL, ConnectionPool
from scoresvc.storage.postgres.reading import WaitingReader
from scoresvc.storage.postgres.workers import BATCH_MAX, Batch, Workers
from scoresvc.storage.write import Write

# $2 is the order of [levels]: where something else is set for a level, that holds.
LISTS = b"""
SELECT wanted.level_id,
       (SELECT coalesce(string_agg(user_id || '=' || abs(turned.by - score), ',' ORDER BY score DESC, reached_at), '')
          FROM (SELECT user_id, score, reached_at
                  FROM scores
                 WHERE scores.level_id = wanted.level_id AND period = 0
                 ORDER BY score DESC, reached_at, user_id
                 LIMIT 15) AS best)
  FROM unnest($1::int[]) AS wanted (level_id)
  LEFT JOIN level_settings AS own ON own.level_id = wanted.level_id
 CROSS JOIN LATERAL (
       SELECT CASE WHEN coalesce(own.settings ->> 'order', CASE WHEN own.settings IS NOT NULL THEN $2::text END) = 'asc'
                   THEN 2147483647 ELSE 0 END AS by) AS turned
"""
ANSWER_WAIT = 3.0  # seconds; a query takes a few milliseconds
PREPARED = b"scoresvc_lists"
QUERY_MIN = 16  # lists; where fewer have gathered, a query waits for those in flight
QUERIES_MAX = 4  # in flight


# The plan is made while the tables are young, and kept when they have grown: a list is 15 entries of the index.
PLANNING = b"SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off"


class ListReader(Protocol):
    def begin(self, level_id: int) -> Write[str]:
        """Begins to read a level's list. Raises Unavailable where no more may wait."""


class ThreadLists:
    """Reads lists in a thread, with a query as LISTS; a level without a row has an empty list.

    `order` is that of [levels].
    """

    def __init__(self, reader: WaitingReader, query: bytes, order: str) -> None:
        self.query = query
        self.order = order
        self._reader = reader
        self._workers = Workers("lists", 1, self._read, _nothing)

    def begin(self, level_id: int) -> Write[str]:
        return self._workers.begin(None, level_id, str)

    def add(self, batch: Batch) -> None:
        """Reads the lists of operations that `LoopLists` has begun."""
        self._workers.add(batch)

    def stop(self) -> None:
        self._workers.stop()

    def _read(self, batch: Batch) -> None:
        texts: dict[int, str] = dict(self._reader.read_raw(self.query, [_levels_of(batch), self.order]))
        _finish(batch, texts)


class LoopLists:
    """Reads lists in an event loop; its methods are called there, but for `_connect`."""

    def __init__(self, pool: ConnectionPool, thread_lists: ThreadLists) -> None:
        self._pool = pool
        self._thread_lists = thread_lists
        self._connection: Connection | None = None
        self._readable = 0  # a file descriptor of our own for its socket: libpq closes the other one when it likes
        self._connect_at = 0.0  # of time.monotonic
        self._gathered: Batch = []
        self._in_flight: deque[Batch] = deque()  # a query each
        self._texts: dict[int, str] = {}  # of the first in flight, by level
        self._is_closed = False

    def begin(self, level_id: int) -> Write[str]:
        write = Write(None, level_id, str)
        self._gathered.append(write)
        count = len(self._gathered)
        if count == 1:
            asyncio.get_running_loop().call_soon(self._send)
        elif count >= QUERY_MIN:
            self._send()
        return write

    def _send(self) -> None:
        """Sends what has gathered: the rest of it at the end of a turn of the loop, or when no query is in flight."""
        while self._gathered and len(self._in_flight) < QUERIES_MAX:
            if self._in_flight and len(self._gathered) < QUERY_MIN:
                return
            connection = self._connection
            if connection is None:
                self._hand_over()
                return
            batch, self._gathered = self._gathered[:BATCH_MAX], self._gathered[BATCH_MAX:]
            self._in_flight.append(batch)
            self._pool.watch.begin(connection, ANSWER_WAIT)
            try:
                self._send_query(connection, [_levels_of(batch).encode(), self._thread_lists.order.encode()])
            except psycopg.Error:
                self._disconnect(connection)
                return

    def _send_query(self, connection: Connection, values: list[bytes]) -> None:
        """A query is short: what the socket does not take at once, it never will, and the pool cuts the connection."""
        server = connection.pgconn
        if self._pool.prepares:
            server.send_query_prepared(PREPARED, values)
        else:
            server.send_query_params(self._thread_lists.query, values)
        server.pipeline_sync()
        server.flush()

    def _receive(self) -> None:
        """Takes the results that have arrived: of each query its rows, None, and that of its sync."""
        connection = self._connection
        if connection is None:
            return
        server = connection.pgconn
        finished: list[tuple[Batch, dict[int, str]]] = []
        try:
            server.consume_input()
            while self._in_flight and not server.is_busy():
                result = server.get_result()
                if result is None:
                    continue
                if result.status != psycopg.pq.ExecStatus.PIPELINE_SYNC:
                    self._texts.update(_read_texts(result))
                    continue
                finished.append((self._in_flight.popleft(), self._texts))
                self._texts = {}
        except psycopg.Error:
            self._disconnect(connection)
        if finished:
            self._finish_queries(connection, finished)

    def _finish_queries(self, connection: Connection, finished: list[tuple[Batch, dict[int, str]]]) -> None:
        self._pool.watch.end(connection)
        if self._in_flight:
            self._pool.watch.begin(connection, ANSWER_WAIT)
        self._send()
        for batch, texts in finished:
            _finish(batch, texts)

    def _disconnect(self, connection: Connection) -> None:
        self._release(connection)
        self._gathered, self._texts = [write for batch in self._in_flight for write in batch] + self._gathered, {}
        self._in_flight.clear()
        if self._gathered:
            self._hand_over()

    def _hand_over(self) -> None:
        """Leaves what has gathered to threads, and has one connect for the next time."""
        gathered, self._gathered = self._gathered, []
        self._thread_lists.add(gathered)
        now = time.monotonic()
        if now >= self._connect_at:
            self._connect_at = now + RETRY_INTERVAL
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._connect, args=(loop,), name="scoresvc-connect", daemon=True).start()

    def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread."""
        with suppress(Unavailable):
            connection = self._pool.borrow()
            try:
                if self._pool.prepares:
                    _require(connection.pgconn.exec_(PLANNING), psycopg.pq.ExecStatus.COMMAND_OK)
                    prepared = connection.pgconn.prepare(PREPARED, self._thread_lists.query)
                    _require(prepared, psycopg.pq.ExecStatus.COMMAND_OK)
                loop.call_soon_threadsafe(self._adopt, connection)
            except (psycopg.Error, RuntimeError):  # the server failed, or the loop has ended
                self._pool.give_back(connection, is_sound=False)

    def _adopt(self, connection: Connection) -> None:
        if self._connection or self._is_closed:
            self._pool.give_back(connection, is_sound=False)
            return
        try:
            self._readable = os.dup(connection.fileno())
        except psycopg.Error:  # it has ended already
            self._pool.give_back(connection, is_sound=False)
            return
        self._connection = connection
        connection.pgconn.enter_pipeline_mode()
        asyncio.get_running_loop().add_reader(self._readable, self._receive)

    def close(self) -> None:
        """To be called in the loop, if that still runs, when nothing is in flight."""
        self._is_closed = True
        if self._connection:
            self._release(self._connection)

    def _release(self, connection: Connection) -> None:
        self._connection = None
        self._pool.watch.end(connection)
        with suppress(RuntimeError):  # the loop has ended
            asyncio.get_running_loop().remove_reader(self._readable)
        os.close(self._readable)
        self._pool.give_back(connection, is_sound=False)


def _read_texts(result: psycopg.pq.abc.PGresult) -> dict[int, str]:
    """Returns lists by level. Raises OperationalError where the query failed, for whatever reason."""
    _require(result, psycopg.pq.ExecStatus.TUPLES_OK)
    return {
        int(result.get_value(row, 0) or b""): (result.get_value(row, 1) or b"").decode()
        for row in range(result.ntuples)
    }


def _require(result: psycopg.pq.abc.PGresult, status: int) -> None:
    if result.status != status:
        raise psycopg.OperationalError(result.error_message.decode(errors="replace"))


def _levels_of(batch: Batch) -> str:
    return write_array({each.row for each in batch})


def _finish(batch: Batch, texts: dict[int, str]) -> None:
    for each in batch:
        each.output = texts.get(each.row, "")
        each.finish()


def _nothing(waiting: int) -> None:
    return None
