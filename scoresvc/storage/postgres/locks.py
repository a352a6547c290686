"""Keeps a level whose lock another session holds from refusing the posts to all others.

Theory of operation: the posts of a batch are one transaction, so one lock that cannot be had rolls all of them back.
Then the writes of each level are made in a transaction of their own, which waits LATE_TIMEOUT for the lock; those that
still wait in vain fail. The level is noted, and what comes for it later is made apart from the start, after the rest of
its batch, until its lock can be had again. APART_MAX bounds what all these transactions of a batch may take together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import log
from scoresvc.storage.postgres.transactions import LOCK_TIMEOUT, LockNotTaken
from scoresvc.storage.postgres.workers import Batch, run_or_refuse

LATE_TIMEOUT = 0.2  # seconds to wait for the lock of a level that was not to be had lately
APART_MAX = 1.0  # seconds


class Commit(Protocol):
    """Commits a batch, waiting so many seconds for a lock. Raises LockNotTaken, Unavailable."""

    def __call__(self, batch: Batch, lock_timeout: float) -> object: ...


class LockedLevels:
    """Commits batches with `commit`. `level_of` returns the level of a row, None for one that takes no level's lock.

    Safe in several threads.
    """

    def __init__(self, commit: Commit, level_of: Callable[[Any], int | None]) -> None:
        self._commit = commit
        self._level_of = level_of
        self._late: set[int | None] = set()

    def commit(self, batch: Batch) -> None:
        """Finishes or fails each write. Raises Unavailable where the database is at fault."""
        together = [write for write in batch if self._level_of(write.row) not in self._late]
        apart = [write for write in batch if self._level_of(write.row) in self._late]
        try:
            if together:
                self._commit(together, LOCK_TIMEOUT)
        except LockNotTaken:
            apart = [write for write in batch if not write.is_done]
        self._commit_apart(apart)

    def _commit_apart(self, batch: Batch) -> None:
        by_level: dict[int | None, Batch] = {}
        for write in batch:
            by_level.setdefault(self._level_of(write.row), []).append(write)
        until = time.monotonic() + APART_MAX
        for level_id, writes in by_level.items():
            if time.monotonic() < until:
                run_or_refuse(partial(self._commit_level, level_id), writes)
        for write in batch:
            write.fail(Unavailable())  # does nothing to those that are done

    def _commit_level(self, level_id: int | None, writes: Batch) -> None:
        try:
            self._commit(writes, LATE_TIMEOUT)
        except LockNotTaken:
            if level_id not in self._late:
                log.warning("another session holds %s", _describe_lock(level_id))
            self._late.add(level_id)
            raise
        self._late.discard(level_id)


def _describe_lock(level_id: int | None) -> str:
    return "a lock that other writes than posts need" if level_id is None else f"the lock of level {level_id}"
