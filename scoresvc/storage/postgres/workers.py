"""Threads that do together what has gathered.

Theory of operation: `begin` puts an operation into a queue. Each of a few threads takes all that waits, BATCH_MAX at
most and without waiting for more, and hands it to `run`, which finishes or fails every operation. While a batch is at
the server the next one gathers, so the number of round trips falls as the load rises. The queue is bounded; a full one
refuses at once. What `run` leaves unfinished, or raises, fails: nobody waits for ever.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import log
from scoresvc.storage.write import Write

U = TypeVar("U")

Batch = list[Write[Any]]

BATCH_MAX = 256  # operations
QUEUE_MAX = 4096  # operations that wait


class Writers(Protocol):
    """The threads that write."""

    def begin(self, change: Any, row: Any, convert: Callable[[Any], U]) -> Write[U]:
        """Queues a write. Raises Unavailable where no more may wait."""

    def oldest(self) -> float:
        """Returns for how many seconds the oldest write of all batches has waited."""

    def stop(self) -> None:
        """Makes what waits, then ends the threads."""


def run_or_refuse(run: Callable[[Batch], object], batch: Batch) -> None:
    """Runs a batch, and fails the operations that are not done then."""
    try:
        run(batch)
    except Unavailable:
        pass
    except Exception:
        log.exception("a batch failed")
    finally:
        for write in batch:
            write.fail(Unavailable())  # does nothing to those that are done


class Workers:
    """Runs batches with `run` in so many threads. `note_waiting` is called with the number of those that wait."""

    def __init__(
        self, name: str, threads: int, run: Callable[[Batch], object], note_waiting: Callable[[int], object]
    ) -> None:
        self._run_batch = run
        self._note_waiting = note_waiting
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._running: dict[int, float] = {}  # the batches, by thread, and when the oldest operation was queued
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"scoresvc-{name}-{number}", daemon=True)
            for number in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, change: Any, row: Any, convert: Callable[[Any], U]) -> Write[U]:
        """Queues an operation. Raises Unavailable where no more may wait."""
        waiting = self._queue.qsize()
        if self._is_stopping or waiting >= QUEUE_MAX:
            raise Unavailable
        self._note_waiting(waiting + 1)
        write = Write(change, row, convert)
        self._queue.put([write])
        return write

    def add(self, batch: Batch) -> None:
        """Queues operations that were begun elsewhere; those that may not wait fail."""
        if self._is_stopping or self._queue.qsize() >= QUEUE_MAX:
            for write in batch:
                write.fail(Unavailable())
            return
        self._queue.put(batch)

    def oldest(self) -> float:
        """Returns for how many seconds the oldest operation of all batches has waited."""
        return time.monotonic() - min(self._running.copy().values(), default=time.monotonic())

    def stop(self) -> None:
        """Runs what waits, then ends the threads."""
        self._is_stopping = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._refuse_rest()

    def _run(self) -> None:
        while batch := self._gather():
            self._running[threading.get_ident()] = batch[0].queued_at
            run_or_refuse(self._run_batch, batch)
            del self._running[threading.get_ident()]
            self._note_waiting(self._queue.qsize())

    def _gather(self) -> Batch:
        """Waits for work; returns nothing where the thread is to end."""
        batch: Batch = []
        part = self._queue.get()
        while part is not None:
            batch += part
            if batch and (len(batch) >= BATCH_MAX or self._queue.empty()):
                return batch
            part = self._queue.get()
        if batch:
            self._queue.put(None)  # after this batch
        return batch

    def _refuse_rest(self) -> None:
        """Fails what came after the threads were told to end."""
        while not self._queue.empty():
            for write in self._queue.get() or ():
                write.fail(Unavailable())
