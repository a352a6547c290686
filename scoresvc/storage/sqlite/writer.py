"""The one writer: a thread that commits in batches.

Theory of operation: SQLite has one writer at a time, so a process has one, with the only writing connection.
Any thread calls `begin` and gets a `Write`, which it waits for or leaves a callback with. The writer's thread
takes what has gathered, BATCH_MAX writes at most and without waiting for more, runs all of it in one
transaction, and finishes each write only after the commit: under load one fsync serves many. Callbacks run in
the writer's thread, so they must be quick and must not call `result` of another write. The queue is bounded;
a full one refuses at once. After a failed fsync, or when the file of the database has gone, the thread stops
for good: it fails whatever waits with Unavailable, later calls too, and calls `on_broken`, which ends the
process so that a supervisor starts a new one. No write is ever left unfinished, whatever ends the thread.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.transactions import Batch, Change, SingleStatement, Transactions
from scoresvc.storage.write import Write

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

BATCH_MAX = 256  # writes in one transaction
QUEUE_MAX = 4096  # writes that wait for the writer
LOCKED_QUEUE_MAX = 2  # the same while another program holds the database: the other threads are for readers
LOCKED_TIMEOUT = 2.0  # seconds until a write that waits for another program is refused

log = logging.getLogger("scoresvc.database")


class Writer:
    """Runs `transactions` in a thread, each within `lock`. `on_broken` is called when it has stopped by itself."""

    def __init__(
        self, transactions: Transactions, lock: AbstractContextManager[None], on_broken: Callable[[], None]
    ) -> None:
        self._transactions = transactions
        self._lock = lock
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[Write[Any]] = queue.SimpleQueue()
        self._batch: Batch = []
        self._is_stopping = False
        self._has_stopped = False
        self._refusing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="scoresvc-writer", daemon=True)
        self._thread.start()

    def begin(self, change: Change[R, T], row: R, after_commit: Callable[[T], U]) -> Write[U]:
        """Queues a write, see `Write`. Raises Unavailable where it can take no more."""
        queue_max = LOCKED_QUEUE_MAX if self._transactions.is_locked_out else QUEUE_MAX
        if self._is_stopping or self._has_stopped or self._queue.qsize() + len(self._batch) >= queue_max:
            raise Unavailable
        write = Write(change, row, after_commit)
        self._queue.put(write)
        if self._has_stopped:  # it may have stopped before it could see this one
            self._refuse_all()
        return write

    def stop(self) -> None:
        """Commits what waits, then closes the connection."""
        self._is_stopping = True
        self._queue.put(Write(SingleStatement(_change_nothing), None, _ignore))  # wakes the thread; takes no lock
        self._thread.join()
        self._transactions.close()

    def _run(self) -> None:
        try:
            while not (self._is_stopping and self._queue.empty()):
                self._batch.append(self._queue.get())
                while self._batch:  # for as long as another program holds the database
                    with self._lock:
                        self._gather()
                        self._transactions.commit(self._batch)
                        if self._batch:
                            self._refuse_late()
        except (sqlite3.DatabaseError, FileNotFoundError) as error:
            log.critical("the writer has stopped for good: %s", error)
        except BaseException:
            log.critical("the writer has stopped for good", exc_info=True)
        finally:
            self._has_stopped = True
            self._refuse_all()
            if not self._is_stopping:
                self._on_broken()

    def _gather(self) -> None:
        """Adds to the batch what else waits."""
        while len(self._batch) < BATCH_MAX and not self._queue.empty():
            self._batch.append(self._queue.get())

    def _refuse_late(self) -> None:
        """While another program holds the database: keeps the few that may still wait, refuses the others."""
        while not self._queue.empty():
            self._batch.append(self._queue.get())
        late = time.monotonic() - LOCKED_TIMEOUT
        kept = [write for write in self._batch if write.queued_at > late][:LOCKED_QUEUE_MAX]
        for write in self._batch:
            if write not in kept:
                write.fail(Unavailable())
        self._batch[:] = kept

    def _refuse_all(self) -> None:
        with self._refusing:
            with suppress(queue.Empty):
                while True:
                    self._batch.append(self._queue.get_nowait())
            for write in self._batch:
                write.fail(Unavailable())


def _change_nothing(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
    return rows


def _ignore(output: None) -> None:
    return None
