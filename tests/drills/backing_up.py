"""Backs up a large database again and again while players post, and measures how long posts take meanwhile.

Rounds with backups and without take turns.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import migrate_database
from tests.running import Server
from tests.storage.older import make_older_database
from tests.timing import Clients, Request, percentile

RATIO_MAX = 1.5  # of the time of a post, 99 of 100, while a backup is made to that without
POSTERS = 4
POST_PAUSE = 0.01  # seconds


@contextmanager
def _backing_up(folder: Path) -> Iterator[list[float]]:
    """Backups one after the other while the block runs; the list has the seconds that each took."""
    took: list[float] = []
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            began = time.monotonic()
            command = (sys.executable, "-m", "scoresvc", "backup", "backup.sqlite3")
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            took.append(time.monotonic() - began)

    thread = threading.Thread(target=run)
    thread.start()
    yield took
    stopping.set()
    thread.join()


def drill(folder: Path, scores: int, seconds: float, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Returns the time of 99 of 100 posts in the rounds without and with backups, and how long backups took."""
    path = folder / "scores.sqlite3"
    make_older_database(path, 1, ((2, user, user * 618_033_989 % 2_000_000_000, user) for user in range(scores)))
    migrate_database(Config(database=DatabaseOptions(path=path)))
    quiet, busy, took = [], [], []
    with Server(folder) as server:
        _, key = server.call("GET", "/7/login")

        def post(number: int) -> Request:
            return "POST", f"/{number % 100}/score?sessionkey={key}", str(number)

        def measure() -> float:
            with Clients(server, POSTERS, post, POST_PAUSE) as posters:
                time.sleep(seconds)
            assert {answer.status for answer in posters.answers} == {200}
            return percentile(posters.answers, 0.99)

        for _ in range(rounds):
            quiet.append(measure())
            with _backing_up(folder) as times:
                busy.append(measure())
            took += times
    return quiet, busy, took


def main() -> int:
    """Prints what posts take while a backup is made and without; returns 1 where it costs too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.backing_up", description="Back up under load.")
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        quiet, busy, took = drill(Path(folder), options.scores, options.seconds, options.rounds)
        megabytes = (Path(folder) / "backup.sqlite3").stat().st_size / 1e6
    for name, rounds in (("without a backup", quiet), ("while one is made", busy)):
        print(f"{name:<20} posts p99 {statistics.median(rounds) * 1000:5.1f} ms: ", end="")
        print(", ".join(f"{each * 1000:.1f}" for each in rounds))
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"{ratio:.2f} times; a backup of {megabytes:.0f} MB took {statistics.median(took):.1f} s")
    return 0 if ratio <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
