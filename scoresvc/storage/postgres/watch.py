"""Cuts the connections that are in use for too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scoresvc.storage.postgres.connections import Connection, cut

LEND_MAX = 6.0  # seconds that one transaction may take
WATCH_INTERVAL = 0.5  # seconds


class Watch:
    """A thread that calls `before_cut`, then shuts the sockets of what is overdue."""

    def __init__(self, before_cut: Callable[[], None]) -> None:
        self._before_cut = before_cut
        self._watched: dict[Connection, float] = {}  # and until when, of time.monotonic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoresvc-connections", daemon=True)
        self._thread.start()

    def begin(self, connection: Connection, seconds: float = LEND_MAX) -> None:
        """Has a connection cut for which `end` is not called in time."""
        self._watched[connection] = time.monotonic() + seconds

    def end(self, connection: Connection) -> None:
        self._watched.pop(connection, None)

    @contextmanager
    def during(self, connection: Connection, seconds: float = LEND_MAX) -> Iterator[None]:
        self.begin(connection, seconds)
        try:
            yield
        finally:
            self.end(connection)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL):
            now = time.monotonic()
            overdue = [connection for connection, until in self._watched.copy().items() if until < now]
            if overdue:
                self._before_cut()
            for connection in overdue:
                self.end(connection)
                cut(connection)
