"""A write that waits for its commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Write(Generic[T]):
    """What a write will come to; `result` and `add_done_callback` are as in `concurrent.futures.Future`.

    The caller's side waits or leaves a callback. The writer's side runs `change` for `row`, commits,
    and then calls `succeed` and `finish`, or `fail`. `after_commit` makes the result of what `change`
    returned; it runs in the writer's thread after the commit and before anyone learns of it.
    """

    __slots__ = ("_after_commit", "_callbacks", "_error", "_is_done", "_result", "change", "output", "queued_at", "row")

    def __init__(self, change: Any, row: Any, after_commit: Callable[[Any], T]) -> None:
        self.change = change
        self.row = row
        self.queued_at = time.monotonic()
        self.output: Any = None  # what `change` returned for the row
        self._after_commit = after_commit
        self._result: T
        self._error: Exception | None = None
        self._is_done = False
        self._callbacks: list[Callable[[Write[T]], object]] = []

    def result(self) -> T:
        """Waits for the commit and returns what came of it. Raises Unavailable, and what the change raised."""
        if not self._is_done:
            done = threading.Lock()
            done.acquire()
            self.add_done_callback(lambda write: done.release())
            done.acquire()
        if self._error is not None:
            raise self._error
        return self._result

    def add_done_callback(self, callback: Callable[[Write[T]], object]) -> None:
        """Has `callback` called with this write once `result` no longer waits: by the writer's thread, or at once."""
        self._callbacks.append(callback)
        if self._is_done:
            self._call_back()

    def succeed(self) -> None:
        """Sets the result, still unannounced; to be called after the commit and before `finish`."""
        try:
            self._result = self._after_commit(self.output)
        except Exception as error:
            self._error = error

    def finish(self) -> None:
        self._is_done = True
        self._call_back()

    def fail(self, error: Exception) -> None:
        """Finishes with an error; does nothing to a write that is done."""
        if not self._is_done:
            self._error = error
            self.finish()

    def _call_back(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # the other thread was faster
                return
            callback(self)
