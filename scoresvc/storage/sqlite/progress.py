"""Shows on a terminal how far a long statement is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

from scoresvc.storage.sqlite.library import sqlite3

STEPS_PER_TICK = 100_000  # of SQLite's virtual machine, between two moves of the bar


def make_bar(name: str, scores: int) -> tqdm[NoReturn]:
    """Returns a bar that counts scores; it is not shown for none, and where standard error is no terminal."""
    return tqdm(desc=name, total=scores, unit=" scores", unit_scale=True, disable=None if scores else True)


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
