"""Measures what must stay bounded in a running server: its write-ahead log under load, its requests during a purge."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import migrate_database
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Server
from tests.timing import Answer, Clients, Request, longest, percentile

WAL_BYTES_MAX = 64 * 1024 * 1024  # twice what a checkpoint leaves, for a reader may hold one up
PURGED_WITHIN = 60.0  # seconds
SLOWER_MAX = 0.050  # seconds
LEVELS = 100_000
QUIET_MAX = 2.0  # seconds of load without a purge, to compare with
SIZE_INTERVAL = 0.01  # seconds between two looks at the size of the log

SERVE_WITH_PURGES_EVERY = """
import sys
from scoresvc import cli
from scoresvc.storage import purging
purging.PURGE_INTERVAL = {}
sys.exit(cli.main())
"""


class WalSize(NamedTuple):
    posts: int
    reads: int
    largest: int  # bytes

    def __str__(self) -> str:
        return f"{self.posts} posts, {self.reads} reads: the log took {self.largest / 2**20:.2f} MB at most"


def measure_wal(folder: Path, seconds: float) -> WalSize:
    """Posts and reads on many levels for so long; returns how large the write-ahead log became."""
    with Server(folder) as server:
        wal = server.database.with_name("scores.sqlite3-wal")
        with (
            SizeWatch(wal) as watch,
            Clients(server, 6, posting(server)) as posters,
            Clients(server, 4, reading) as readers,
        ):
            time.sleep(seconds)
        server.terminate()
    assert {answer.status for answer in posters.answers + readers.answers} == {200}
    return WalSize(len(posters.answers), len(readers.answers), watch.largest)


class SizeWatch:
    """Notes the largest size of a file, in bytes, while the `with` block runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.largest = 0

    def _run(self) -> None:
        while not self._stopping.wait(SIZE_INTERVAL):
            self.largest = max(self.largest, self._path.stat().st_size)

    def __enter__(self) -> SizeWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()


class PurgeTimes(NamedTuple):
    sessions: int
    seconds: float  # from the start of the server until the last is purged
    posts: list[Answer]  # until then
    reads: list[Answer]
    quiet: list[Answer]  # posts and reads after that

    @property
    def slower(self) -> float:
        """Seconds by which the longest request took longer while the purge ran."""
        return longest(self.posts + self.reads) - longest(self.quiet)

    def __str__(self) -> str:
        times = {"posts": self.posts, "reads": self.reads, "afterwards": self.quiet}
        return f"{self.sessions} expired sessions were purged after {self.seconds:.1f} s; " + ", ".join(
            f"{name}: {len(answers)}, p99 {percentile(answers, 0.99) * 1000:.1f} ms,"
            f" longest {longest(answers) * 1000:.1f} ms"
            for name, answers in times.items()
        )


def measure_purge(folder: Path, sessions: int, interval: float, quiet_max: float = QUIET_MAX) -> PurgeTimes:
    """Serves a database with so many expired sessions, purged every `interval` seconds, until they are gone.

    To compare with, the same load goes on for at most `quiet_max` seconds.
    """
    database = folder / "scores.sqlite3"
    add_expired_sessions(database, sessions)
    command = (sys.executable, "-c", SERVE_WITH_PURGES_EVERY.format(interval), "serve", "--port", "0")
    started = time.monotonic()
    with Server(folder, command=command) as server, closing(sqlite3.connect(database, timeout=5)) as reader:
        with _load(server) as (posters, readers):
            while time.monotonic() < started + 3 * PURGED_WITHIN and _is_any_expired(reader):
                time.sleep(0.1)
            gone = time.monotonic()
            assert not _is_any_expired(reader), "the expired sessions are not purged"
        with _load(server) as (quiet_posters, quiet_readers):
            time.sleep(min(quiet_max, gone - started))
        server.terminate()
    quiet = quiet_posters.answers + quiet_readers.answers
    assert {answer.status for answer in posters.answers + readers.answers + quiet} == {200}
    return PurgeTimes(sessions, gone - started, posters.answers, readers.answers, quiet)


def add_expired_sessions(database: Path, count: int) -> None:
    """Creates the database with sessions that expired a minute ago."""
    migrate_database(Config(database=DatabaseOptions(path=database)))
    chance, expired_at = random.Random(0), time.time() - 60
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO sessions (key_hash, user_id, expires_at) VALUES (?, ?, ?)",
            ((chance.randbytes(32), chance.randrange(2**31), expired_at) for _ in range(count)),
        )


def _is_any_expired(reader: sqlite3.Connection) -> bool:
    return reader.execute("SELECT 1 FROM sessions WHERE expires_at < unixepoch() LIMIT 1").fetchone() is not None


@contextmanager
def _load(server: Server) -> Iterator[tuple[Clients, Clients]]:
    """A load that leaves the machine idle half of the time, so that a request that waits, waits for the purge."""
    with (
        Clients(server, 2, posting(server), pause=0.005) as posters,
        Clients(server, 2, reading, pause=0.005) as readers,
    ):
        yield posters, readers


def posting(server: Server) -> Callable[[int], Request]:
    """Returns the function that makes posts of one new session, on many levels."""
    _, key = server.call("GET", "/7/login")
    return lambda number: ("POST", f"/{_scattered(number)}/score?sessionkey={key}", str(number))


def reading(number: int) -> Request:
    return "GET", f"/{_scattered(number)}/highscorelist", None


def _scattered(number: int) -> int:
    return number * 2654435761 % LEVELS


def main() -> int:
    """Prints both measurements; returns 1 where a bound is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.bounds", description="Measure what must stay bounded."
    )
    parser.add_argument("--seconds", type=float, default=60, help="of load on the write-ahead log")
    parser.add_argument("--sessions", type=int, default=1_000_000, help="that have expired")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = measure_wal(Path(folder), options.seconds)
    print(size, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        times = measure_purge(Path(folder), options.sessions, interval=10.0)
    print(times, flush=True)
    return 0 if size.largest <= WAL_BYTES_MAX and times.seconds <= PURGED_WITHIN and times.slower <= SLOWER_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
