"""Shows on a terminal how far a long statement is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scoresvc.storage.bars import make_bar
from scoresvc.storage.sqlite.library import sqlite3

STEPS_PER_TICK = 100_000  # of SQLite's virtual machine, between two moves of the bar


@contextmanager
def progress(connection: sqlite3.Connection, name: str, scores: int, steps_per_score: int) -> Iterator[None]:
    """Shows how far the statements of a `with` block are, which take so many steps of SQLite a score, about."""
    with make_bar(name, scores) as bar:

        def tick() -> None:
            bar.update(min(STEPS_PER_TICK // steps_per_score, scores - bar.n))

        connection.set_progress_handler(tick, STEPS_PER_TICK)
        try:
            yield
        finally:
            connection.set_progress_handler(None, 0)
        bar.update(scores - bar.n)
