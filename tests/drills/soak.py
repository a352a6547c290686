"""Loads servers of several processes for a long time, then looks for damage and for scores that are missing."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Server, call

USERS = 12  # a client each
LEVELS = 2_000
LOG_IN_EVERY = 300.0  # seconds; a session is good for 600
LOOK_INTERVAL = 0.05  # seconds between two looks at the log

BESTS = "SELECT level_id, user_id, score FROM scores"

Best = dict[tuple[int, int], int]  # by level and user


class SoakOutcome(NamedTuple):
    processes: int
    seconds: float
    acknowledged: int
    read: int  # lists
    statuses: set[int]
    checkpoints: int  # seen as a log that begins anew
    missing: int  # users' bests that are not what was acknowledged
    faults: list[str]

    def __str__(self) -> str:
        return (
            f"{self.processes} processes on SQLite {sqlite3.sqlite_version}, {self.seconds:.0f} s: {self.acknowledged}"
            f" posts, {self.read} lists, {self.checkpoints} checkpoints, statuses {sorted(self.statuses)};"
            f" {self.missing} bests missing, faults: {self.faults or 'none'}"
        )

    @property
    def is_sound(self) -> bool:
        return not self.missing and not self.faults and self.statuses == {200}


class Player:
    """A client that posts for one user and reads the list after every post, on a connection of its own."""

    def __init__(self, server: Server, user: int, pause: float) -> None:
        self._server = server
        self._user = user
        self._pause = pause  # seconds after each post
        self._chance = random.Random(user)
        self._told_to_stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.best: Best = {}
        self.acknowledged = 0
        self.read = 0
        self.statuses: set[int] = set()
        self._thread.start()

    def _run(self) -> None:
        while not self._told_to_stop.is_set():
            _, key = self._server.call("GET", f"/{self._user}/login")
            with closing(self._server.connect()) as connection:
                until = time.monotonic() + LOG_IN_EVERY
                while time.monotonic() < until and not self._told_to_stop.wait(self._pause):
                    level, score = self._chance.randrange(LEVELS), self._chance.randrange(2**31)
                    status, _ = call(connection, "POST", f"/{level}/score?sessionkey={key}", str(score))
                    self.statuses.add(status)
                    if status == 200:
                        self.acknowledged += 1
                        self.best[level, self._user] = max(score, self.best.get((level, self._user), 0))
                    status, _ = call(connection, "GET", f"/{level}/highscorelist")
                    self.statuses.add(status)
                    self.read += status == 200

    def stop(self) -> None:
        self._told_to_stop.set()
        self._thread.join()


def soak(folder: Path, processes: int, seconds: float, pause: float) -> SoakOutcome:
    with Server(folder, processes=processes) as server:
        players = [Player(server, user, pause) for user in range(USERS)]
        checkpoints = _count_checkpoints(server.database.with_name("scores.sqlite3-wal"), seconds)
        for player in players:
            player.stop()
        assert server.terminate() == 0
    best = {key: score for player in players for key, score in player.best.items()}
    with closing(sqlite3.connect(server.database)) as connection:
        kept = {(level, user): score for level, user, score in connection.execute(BESTS)}
        faults = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    return SoakOutcome(
        processes,
        seconds,
        sum(player.acknowledged for player in players),
        sum(player.read for player in players),
        set().union(*(player.statuses for player in players)),
        checkpoints,
        sum(kept.get(key) != score for key, score in best.items()),
        [*faults, *map(str, find_faults(server.database))],
    )


def _count_checkpoints(log: Path, seconds: float) -> int:
    """Returns how often the log was begun anew: its header has a salt that rises by one then."""
    salts = set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(LOOK_INTERVAL)
        if log.exists():
            with log.open("rb") as file:
                salts.add(file.read(24)[16:20])
    return len(salts) - 1


def main() -> int:
    """Prints an outcome for each number of processes; returns 1 where something is damaged or missing."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.soak", description="Load several processes for a long time."
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--minutes", type=float, default=10, help="of each")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that a client waits before each post")
    options = parser.parse_args()
    is_sound = True
    for processes in options.processes:
        with tempfile.TemporaryDirectory() as folder:
            outcome = soak(Path(folder), processes, options.minutes * 60, options.pause)
        print(outcome, flush=True)
        is_sound = is_sound and outcome.is_sound
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
