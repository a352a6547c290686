"""Deletes what has expired periodically, a slice at a time so that others may write in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from scoresvc.errors import Unavailable

PURGE_INTERVAL = 10.0  # seconds
PURGE_SLICE = 200  # rows in one transaction
PURGE_PAUSE = 0.003  # seconds after each, so that posts seldom wait for one

Slice = tuple[float, int]  # now in Unix seconds, how many rows at most

log = logging.getLogger("scoresvc.database")


class Purger:
    """Calls each of `purges` in a thread, with how many rows it may delete; it returns how many it did."""

    def __init__(self, *purges: Callable[[int], int]) -> None:
        self._purges = purges
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoresvc-purger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def purge(self) -> None:
        """Deletes all that has expired by now. Raises Unavailable."""
        for purge in self._purges:
            while not self._closing.is_set() and purge(PURGE_SLICE) == PURGE_SLICE:
                self._closing.wait(PURGE_PAUSE)

    def _run(self) -> None:
        while not self._closing.wait(PURGE_INTERVAL):
            try:
                self.purge()
            except Unavailable:
                log.warning("what has expired is kept until the database can be written")

    def stop(self) -> None:
        """Lets the thread end after the slice that it is at."""
        self._closing.set()

    def join(self) -> None:
        """Waits for the thread; to be called once nothing can be written any more."""
        self._thread.join()
