"""Threads that post by level, for a database that Citus distributes.

Theory of operation: `LevelWriters` splits a batch by level. Each part is a transaction of its own, which one node
commits, and a post is acknowledged when its own level is committed. A level whose node is away fails alone. The parts
are made in THREADS threads, because each waits for a disk, and those of a level always in the same one: there its posts
gather, and none waits for the lock of another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from scoresvc.storage.postgres.scores import level_of
from scoresvc.storage.postgres.workers import Batch, Workers, run_or_refuse
from scoresvc.storage.write import Write

U = TypeVar("U")

THREADS = 8  # each with a connection


class LevelWriters:
    """Commits the posts of each level in a transaction of their own; see `Workers`."""

    def __init__(
        self,
        name: str,
        commit: Callable[[Batch], object],
        note_waiting: Callable[[int], object],
        threads: int = THREADS,
    ) -> None:
        self._note_waiting = note_waiting
        self._waiting = [0] * threads
        self._workers = [
            Workers(f"{name}-{place}", 1, partial(_commit_by_level, commit), partial(self._note, place))
            for place in range(threads)
        ]

    def begin(self, change: Any, row: Any, convert: Callable[[Any], U]) -> Write[U]:
        """Queues a write. Raises Unavailable where no more may wait."""
        return self._workers[(level_of(row) or 0) % len(self._workers)].begin(change, row, convert)

    def oldest(self) -> float:
        return max(workers.oldest() for workers in self._workers)

    def stop(self) -> None:
        for workers in self._workers:
            workers.stop()

    def _note(self, place: int, waiting: int) -> None:
        self._waiting[place] = waiting
        self._note_waiting(sum(self._waiting))


def _commit_by_level(commit: Callable[[Batch], object], batch: Batch) -> None:
    parts: dict[int | None, Batch] = {}
    for write in batch:
        parts.setdefault(level_of(write.row), []).append(write)
    for part in parts.values():
        run_or_refuse(commit, part)
