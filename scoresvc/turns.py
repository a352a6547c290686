"""Lets the writers of several processes take turns."""

from __future__ import annotations

import fcntl
import time
from types import TracebackType

TURN_WAIT = 1.0  # seconds until a writer goes on without its turn: who has it may hang
TURN_POLL = 0.0001  # seconds between two looks

# The bytes of the file whose locks they are.
_NOW = 0
_NEXT = 1


class Turns:
    """A turn is a `with` block; nobody has two while another waits, as SQLite's own lock would allow.

    Who waits holds the lock of the next one until the turn is theirs, so that who has just had it
    queues up behind. The locks are those of the file behind `descriptor`, and end with the process.
    They are a courtesy: SQLite's lock is what keeps the writers apart.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        until = time.monotonic() + TURN_WAIT
        self._wait_for(_NEXT, until)
        self._wait_for(_NOW, until)
        self._leave(_NEXT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(_NOW)

    def _wait_for(self, byte: int, until: float) -> None:
        while not self._take(byte) and time.monotonic() < until:
            time.sleep(TURN_POLL)

    def _take(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def _leave(self, byte: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
