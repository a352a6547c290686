"""Kills the migration of a large database of an older version, many times, then looks for its scores."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import newest_version
from tests.storage.older import bring_to, make_older_database

VERSIONS = (1, 2, 3, 4, 5)
LEVELS = 1000  # with half of the scores; level 0 has the other half
SCORE_MAX = 1_000_000
SECONDS_MAX = 300.0  # for one migration


class MigrationOutcome(NamedTuple):
    version: int  # that the database had
    scores: int
    seconds: float  # of a migration that nobody kills
    killed: int
    migrated: int  # of those killed, how many had committed before
    damaged: int  # after how many kills the scores were others, or the database neither old nor new
    faults: list[str]  # in the end

    def __str__(self) -> str:
        return (
            f"from version {self.version}: {self.scores} scores in {self.seconds:.1f} s,"
            f" {self.seconds / self.scores * 1_000_000:.1f} s a million; {self.killed} times killed,"
            f" {self.migrated} of them after the commit, {self.damaged} times damaged; {len(self.faults)} faults"
        )


def kill_migrations(folder: Path, version: int, scores: int, kills: int) -> MigrationOutcome:
    """Migrates a database of that version, first to see how long it takes, then killed at `kills` moments of it."""
    old, path = folder / "old.sqlite3", folder / "scores.sqlite3"
    make_older_database(old, 1, make_scores(scores))
    bring_to(old, version)
    expected = read_scores(old)
    _copy(old, path)
    seconds = _migrate(path, None)
    damaged = int(read_scores(path) != expected)
    killed = migrated = 0
    _copy(old, path)
    for kill in range(kills):
        _migrate(path, seconds * (kill + 1) / (kills + 1))
        present = version_of(path)
        killed += 1
        migrated += present == newest_version()
        damaged += present not in (version, newest_version()) or read_scores(path) != expected
        if present != version:
            _copy(old, path)
    _migrate(path, None)
    damaged += read_scores(path) != expected
    return MigrationOutcome(version, scores, seconds, killed, migrated, damaged, list(find_faults(path)))


def make_scores(count: int) -> Iterator[tuple[int, int, int, int]]:
    for user in range(count):
        yield user % LEVELS * (user % 2), user, user * 618_033_989 % SCORE_MAX, user


def read_scores(path: Path) -> Any:
    """Returns what is the same as long as all scores are, in a database of any version."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            """
            SELECT count(*), sum(level_id * 7919 + user_id * score % 1000003), sum(score), sum(reached_at),
                   max(user_id * score + level_id)
              FROM scores
            """
        ).fetchall()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _copy(old: Path, path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    shutil.copyfile(old, path)


def _migrate(path: Path, kill_after: float | None) -> float:
    """Runs `scoresvc migrate`, killed after so many seconds if it is not done; returns how many it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "scoresvc", "migrate", "--database", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            status = process.wait(kill_after or SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
    expected = (0,) if kill_after is None else (0, -signal.SIGKILL)
    assert status in expected, f"the migration ended with status {status}"
    return time.monotonic() - started


def main() -> int:
    """Prints an outcome for each version; returns 1 where a score is lost."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.migrating", description="Kill migrations of large databases."
    )
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    is_whole = True
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = kill_migrations(Path(folder), version, options.scores, options.kills)
        print(outcome, flush=True)
        is_whole = is_whole and not outcome.damaged and not outcome.faults
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
