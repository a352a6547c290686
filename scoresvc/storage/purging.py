"""Deletes expired sessions periodically, a slice at a time so that others may write in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from scoresvc.errors import Unavailable

PURGE_INTERVAL = 10.0  # seconds
PURGE_SLICE = 200  # sessions in one transaction

log = logging.getLogger("scoresvc.database")


class SessionPurger:
    """Calls `delete_expired`, see `SessionStore`, in a thread."""

    def __init__(self, delete_expired: Callable[[int], int]) -> None:
        self._delete_expired = delete_expired
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoresvc-purger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def purge(self) -> None:
        """Deletes all that have expired by now. Raises Unavailable."""
        while not self._closing.is_set() and self._delete_expired(PURGE_SLICE) == PURGE_SLICE:
            pass

    def _run(self) -> None:
        while not self._closing.wait(PURGE_INTERVAL):
            try:
                self.purge()
            except Unavailable:
                log.warning("expired sessions are kept until the database can be written")

    def stop(self) -> None:
        """Lets the thread end after the slice that it is at."""
        self._closing.set()

    def join(self) -> None:
        """Waits for the thread; to be called once nothing can be written any more."""
        self._thread.join()
