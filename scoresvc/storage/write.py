"""A write that waits for its commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class WriterState(NamedTuple):
    """How a writer fares."""

    oldest_write: float  # seconds that the oldest unfinished write has waited
    fault: str  # why the database takes no writes, as of a moment ago; empty where it does


class Write(Generic[T]):
    """What a write will come to; `result` and `add_done_callback` are as in `concurrent.futures.Future`.

    The caller's side waits or leaves a callback. The writer's side makes `change` for `row`, commits, sets
    `output`, and then calls `finish`, or `fail`. `convert` makes the result of the output.
    """

    __slots__ = ("_callbacks", "_convert", "change", "error", "is_done", "output", "queued_at", "row")

    def __init__(self, change: Any, row: Any, convert: Callable[[Any], T]) -> None:
        self.change = change
        self.row = row
        self.queued_at = time.monotonic()
        self.output: Any = None  # what `change` returned for the row
        self._convert = convert
        self.error: Exception | None = None
        self.is_done = False
        self._callbacks: list[Callable[[Write[T]], object]] = []

    def result(self) -> T:
        """Waits for the commit and returns what came of it. Raises Unavailable, and what the change raised."""
        self.wait()
        if self.error is not None:
            raise self.error
        return self._convert(self.output)

    def wait(self) -> None:
        """Waits until `result` no longer waits."""
        if not self.is_done:
            done = threading.Lock()
            done.acquire()
            self.add_done_callback(lambda write: done.release())
            done.acquire()

    def add_done_callback(self, callback: Callable[[Write[T]], object]) -> None:
        """Has `callback` called with this write once `result` no longer waits: by the writer's thread, or at once."""
        self._callbacks.append(callback)
        if self.is_done:
            self._call_back()

    def finish(self) -> None:
        self.is_done = True
        self._call_back()

    def fail(self, error: Exception) -> None:
        """Finishes with an error; does nothing to a write that is done."""
        if not self.is_done:
            self.error = error
            self.finish()

    def _call_back(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # the other thread was faster
                return
            callback(self)
