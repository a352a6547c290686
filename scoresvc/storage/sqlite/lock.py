"""A fair lock between the writers of several processes.

SQLite's own lock is what keeps writers apart, but it is unfair: the process that has just released it usually takes
it again, while the others sleep between two attempts. Here a process that waits holds the lock of the next place until
the current one is released, so that the last owner queues up behind it. Both are POSIX locks on bytes of the `.lock`
file beside the database; the system releases them when a process ends. The lock is advisory: after ACQUIRE_TIMEOUT a
writer goes on without it, since the owner may hang, and then SQLite's lock decides.
"""

from __future__ import annotations

import fcntl
import time
from types import TracebackType

ACQUIRE_TIMEOUT = 1.0  # seconds
POLL_INTERVAL = 0.0001  # seconds between two attempts

# The bytes of the file that are locked.
_CURRENT = 0
_NEXT = 1


class FairLock:
    """A lock on the file behind `descriptor`, for one thread in each process; usable in `with`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def acquire(self) -> None:
        """Returns with the lock, or without it after ACQUIRE_TIMEOUT."""
        until = time.monotonic() + ACQUIRE_TIMEOUT
        self._wait_for(_NEXT, until)
        self._wait_for(_CURRENT, until)
        self._unlock(_NEXT)

    def release(self) -> None:
        self._unlock(_CURRENT)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _wait_for(self, byte: int, until: float) -> None:
        while not self._try_lock(byte) and time.monotonic() < until:
            time.sleep(POLL_INTERVAL)

    def _try_lock(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
