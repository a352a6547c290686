"""Measures how much requests are slowed while old submissions and old periods are purged, and that no more goes."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, DatabaseOptions
from scoresvc.levels import LevelOptions
from scoresvc.storage import migrate_database
from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.library import sqlite3
from tests.drills.bounds import SERVE_WITH_PURGES_EVERY, posting, reading
from tests.running import Server
from tests.timing import Answer, Clients, longest, percentile

PURGED_WITHIN = 120.0  # seconds
SLOWER_MAX = 0.020  # seconds
LEVELS = 1000
USERS = 20_000  # with scores
OLD_DAYS = range(20200101, 20200121)
CONFIG = """
[levels]
periods = day
keep_days = 2

[history]
days = 10
"""
LEVEL_OPTIONS = LevelOptions(periods=("day",), keep_days=2)


class HistoryPurge(NamedTuple):
    submissions: int  # that stood nowhere
    scores: int  # of days that were let go
    seconds: float
    posts: list[Answer]  # while the purge ran
    quiet: list[Answer]  # posts after that
    lost: int  # submissions and scores that stand on a board of all time, and are gone
    left: int  # submissions and scores that should be gone
    faults: list[str]

    @property
    def slower(self) -> float:
        """Seconds by which the longest post in a thousand took longer while the purge ran."""
        return percentile(self.posts, 0.999) - percentile(self.quiet, 0.999)

    def __str__(self) -> str:
        times = ", ".join(
            f"{name}: {len(answers)}, p99 {percentile(answers, 0.99) * 1000:.1f} ms,"
            f" p99.9 {percentile(answers, 0.999) * 1000:.1f} ms, longest {longest(answers) * 1000:.1f} ms"
            for name, answers in {"posts": self.posts, "posts afterwards": self.quiet}.items()
        )
        return (
            f"{self.submissions} submissions and {self.scores} scores were purged in {self.seconds:.1f} s, {self.lost}"
            f" lost, {self.left} left, {len(self.faults)} faults; {times}"
        )


def measure_history_purge(folder: Path, submissions: int, interval: float, quiet: float) -> HistoryPurge:
    """Serves a database with so many old submissions that stand nowhere until they are purged, then `quiet` seconds."""
    database = folder / "scores.sqlite3"
    (folder / "config.ini").write_text(CONFIG)
    last = fill(database, submissions)
    command = (sys.executable, "-c", SERVE_WITH_PURGES_EVERY.format(interval), "serve", "--port", "0")
    with Server(folder, command=command) as server, closing(sqlite3.connect(database, timeout=5)) as reader:
        started = time.monotonic()
        with _posts(server) as posters:
            while is_left(reader, last) and time.monotonic() < started + PURGED_WITHIN:
                time.sleep(0.1)
            seconds = time.monotonic() - started
        left = left_of(reader)
        with _posts(server) as quiet_posters:
            time.sleep(quiet)
        lost = 2 * USERS - kept_of(reader)
        server.terminate()
    assert {answer.status for answer in posters.answers + quiet_posters.answers} == {200}
    faults = list(find_faults(database, LEVEL_OPTIONS))
    scores = USERS // 2 * len(OLD_DAYS)
    return HistoryPurge(submissions, scores, seconds, posters.answers, quiet_posters.answers, lost, left, faults)


@contextmanager
def _posts(server: Server) -> Iterator[Clients]:
    with Clients(server, 2, posting(server), pause=0.005) as posters, Clients(server, 2, reading, pause=0.005):
        yield posters


def fill(database: Path, submissions: int) -> int:
    """Creates the database; returns the last submission, which stands nowhere.

    Users from 10,000,000 on have a submission of 2, which stands, and behind it their share of those of 1.
    """
    migrate_database(Config(database=DatabaseOptions(path=database)))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO submissions (level_id, user_id, score, posted_at, day) VALUES (?, ?, ?, ?, 20200101)",
            rows_of(submissions),
        )
        connection.execute(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            SELECT level_id, 0, user_id, score, posted_at FROM submissions WHERE score = 2
            """
        )
        connection.executemany(
            "INSERT INTO scores (level_id, period, user_id, score, reached_at) VALUES (5, ?, ?, 1, ?)",
            ((day, user, user) for day in OLD_DAYS for user in range(USERS // 2)),
        )
        ((last,),) = connection.execute("SELECT max(submission_id) FROM submissions").fetchall()
    return int(last)


def rows_of(submissions: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields level, user, score and time."""
    each = submissions // USERS
    for number in range(USERS * (each + 1)):
        user, place = divmod(number, each + 1)
        yield user % LEVELS, 10_000_000 + user, 2 if place == 0 else 1, number


def is_left(reader: sqlite3.Connection, submission_id: int) -> bool:
    """Returns whether that submission is left, or a day that was let go."""
    ((left,),) = reader.execute(
        """
        SELECT EXISTS (SELECT 1 FROM submissions WHERE submission_id = :submission_id)
            OR EXISTS (SELECT 1 FROM boards WHERE level_id = 5 AND period BETWEEN 20200101 AND 20200131)
        """,
        {"submission_id": submission_id},
    ).fetchall()
    return bool(left)


def left_of(reader: sqlite3.Connection) -> int:
    ((left,),) = reader.execute(
        """
        SELECT (SELECT count(*) FROM submissions WHERE user_id >= 10000000 AND score = 1)
             + (SELECT count(*) FROM scores WHERE level_id = 5 AND period BETWEEN 20200101 AND 20200131)
        """
    ).fetchall()
    return int(left)


def kept_of(reader: sqlite3.Connection) -> int:
    ((kept,),) = reader.execute(
        """
        SELECT (SELECT count(*) FROM submissions WHERE user_id >= 10000000 AND score = 2)
             + (SELECT count(*) FROM scores WHERE period = 0 AND user_id >= 10000000)
        """
    ).fetchall()
    return int(kept)


def main() -> int:
    """Prints the measurement; returns 1 where a bound is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.purging", description="Measure posts during a purge of history."
    )
    parser.add_argument("--submissions", type=int, default=400_000, help="that stand nowhere")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        purge = measure_history_purge(Path(folder), options.submissions, interval=1.0, quiet=20.0)
    print(purge)
    return 0 if not (purge.lost or purge.left or purge.faults) and purge.slower <= SLOWER_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
