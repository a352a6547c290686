"""The one writer: it commits what has gathered in one transaction.

Theory of operation: SQLite has one writer at a time, so a service has one, with the only writing connection, in a
thread of the process (`Writer`) or, where several processes serve, in a process of its own (writer_process.py). Any
thread calls `begin` and gets a `Write`, which it waits for or leaves a callback with. The writer takes what has
gathered, BATCH_MAX writes at most and without waiting for more, runs all of it in one transaction, and finishes each
write only after the commit: under load one fsync serves many. Callbacks run in the writer's thread, so they must be
quick and must not wait for another write. The queue is bounded; a full one refuses at once. After a failed fsync, or
when the file of the database has gone, the writer stops for good: it fails whatever waits with Unavailable, later
calls too, and calls `on_broken`, which ends the process so that a supervisor starts a new one. No write is ever left
unfinished, whatever ends the writer.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.rescuing import FilesChanged
from scoresvc.storage.sqlite.transactions import Batch, Change, Transactions, ignore, log
from scoresvc.storage.write import Write, WriterState

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

BATCH_MAX = 256  # writes in one transaction
QUEUE_MAX = 4096  # writes that wait for the writer
LOCKED_QUEUE_MAX = 2  # the same while another program holds the database: the other threads are for readers
LOCKED_TIMEOUT = 2.0  # seconds until a write that waits for another program is refused
LAST_RESPONSES_WAIT = 0.5  # seconds for the last responses to leave before a broken process ends


def end_process() -> None:
    """Ends this process with status 1, so that its supervisor starts a new one."""
    try:
        time.sleep(LAST_RESPONSES_WAIT)
        logging.shutdown()
    finally:
        os._exit(1)


class Writer:
    """Commits with `transactions` in a thread. `on_broken` is called there when it has stopped by itself.

    `note_waiting` is called, in any thread, with the number of unfinished writes.
    """

    def __init__(
        self,
        transactions: Transactions,
        on_broken: Callable[[], None] = end_process,
        note_waiting: Callable[[int], None] = ignore,
    ) -> None:
        self._transactions = transactions
        self._note_waiting = note_waiting
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[Write[Any] | None] = queue.SimpleQueue()
        self._batch: Batch = []
        self._is_stopping = False
        self._has_stopped = False
        self._refusing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="scoresvc-writer", daemon=True)
        self._thread.start()

    def begin(self, change: Change[R, T], row: R, convert: Callable[[T], U]) -> Write[U]:
        """See `Begin`."""
        queue_max = LOCKED_QUEUE_MAX if self._transactions.is_locked_out else QUEUE_MAX
        waiting = self._queue.qsize() + len(self._batch)
        if self._is_stopping or self._has_stopped or waiting >= queue_max:
            raise Unavailable
        self._note_waiting(waiting + 1)
        write = Write(change, row, convert)
        self._queue.put(write)
        if self._has_stopped:  # it may have stopped before it could see this one
            self._refuse_all()
        return write

    def state(self) -> WriterState:
        oldest = next(iter(self._batch), None)
        waited = time.monotonic() - oldest.queued_at if oldest else 0.0
        return WriterState(waited, "the writer has stopped" if self._has_stopped else self._transactions.recent_fault())

    def stop(self) -> None:
        """Commits what waits, then ends the thread."""
        self._is_stopping = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not (self._is_stopping and self._queue.empty()):
                self._take(self._queue.get())
                while self._batch:  # for as long as another program holds the database
                    self._gather(BATCH_MAX)
                    self._transactions.commit(self._batch)
                    if self._batch:
                        self._gather(QUEUE_MAX)
                        refuse_late(self._batch)
                self._note_waiting(self._queue.qsize())
        except (sqlite3.DatabaseError, FilesChanged) as error:
            log.critical("the writer has stopped for good: %s", error)
        except BaseException:
            log.critical("the writer has stopped for good", exc_info=True)
        finally:
            self._has_stopped = True
            self._refuse_all()
            if not self._is_stopping:
                self._on_broken()

    def _take(self, write: Write[Any] | None) -> None:
        if write is not None:
            self._batch.append(write)

    def _gather(self, count_max: int) -> None:
        """Adds to the batch what else waits."""
        while len(self._batch) < count_max and not self._queue.empty():
            self._take(self._queue.get())

    def _refuse_all(self) -> None:
        with self._refusing:
            with suppress(queue.Empty):
                while True:
                    self._take(self._queue.get_nowait())
            for write in self._batch:
                write.fail(Unavailable())


def refuse_late(batch: Batch) -> None:
    """While another program holds the database: keeps the few writes that may still wait, refuses the others."""
    late = time.monotonic() - LOCKED_TIMEOUT
    kept = [write for write in batch if write.queued_at > late][:LOCKED_QUEUE_MAX]
    for write in batch:
        if write not in kept:
            write.fail(Unavailable())
    batch[:] = kept
