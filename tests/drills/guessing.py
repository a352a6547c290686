"""Guesses secrets on a running server: how long a refusal takes must not tell whether the user exists."""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.running import Server, call

DIFFERENCE_MAX = 0.05  # of the medians
WRONG = "A" * 32
CONFIG = "[users]\nlogins = claimed\n[limits]\nwrong_keys_per_address = 0\nnew_per_address = 0\n"


class Guesses(NamedTuple):
    count: int  # of each kind
    unknown: float  # median of the refusals for a number that nobody has, in seconds
    wrong: float  # and for a user with another secret

    @property
    def difference(self) -> float:
        return abs(self.wrong / self.unknown - 1)

    def __str__(self) -> str:
        return (
            f"{self.count} guesses of each kind: no such user {self.unknown * 1e6:.1f} us, a wrong secret"
            f" {self.wrong * 1e6:.1f} us, {self.difference:.1%} apart"
        )


def guess(folder: Path, count: int) -> Guesses:
    """Asks in turns, so that what else the machine does befalls both alike."""
    (folder / "config.ini").write_text(CONFIG)
    times: dict[str, list[float]] = {"unknown": [], "wrong": []}
    with Server(folder) as server:
        users = [server.call("POST", "/new")[1].split()[0].removeprefix("user=") for _ in range(50)]
        with closing(server.connect()) as connection:
            for number in range(count):
                known = users[number % len(users)]
                times["unknown"].append(_time(connection, str((int(known) + 1 + number) % 2**31)))
                times["wrong"].append(_time(connection, known))
    return Guesses(count, statistics.median(times["unknown"]), statistics.median(times["wrong"]))


def _time(connection: http.client.HTTPConnection, user: str) -> float:
    path = f"/{user}/login?secret={WRONG}"
    started = time.perf_counter()
    status, _ = call(connection, "GET", path)
    assert status == 401
    return time.perf_counter() - started


def main() -> int:
    """Prints the medians; returns 1 where they tell users apart."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.guessing", description="Guess secrets.")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guesses = guess(Path(folder), options.count)
    print(guesses)
    return 0 if guesses.difference <= DIFFERENCE_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
