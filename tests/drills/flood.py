"""Floods a running server with logins, while a player posts."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Server
from tests.timing import Answer, Clients, Request, percentile

POST_MAX = 0.050  # seconds, for 99 of 100 posts
SESSIONS_MAX = 20  # of a user, the default
CLIENTS = 16
FLOODS: dict[str, Callable[[int], int]] = {"one user": lambda number: 7, "many users": lambda number: number}


class Flood(NamedTuple):
    of: str
    logins: int
    refused: int  # logins that were not answered with a key
    sessions: int  # of the user who has most of them
    posts: list[Answer]
    quiet: list[Answer]  # posts before

    @property
    def is_harmless(self) -> bool:
        posted = {answer.status for answer in self.posts} == {200}
        return posted and percentile(self.posts, 0.99) <= POST_MAX and self.sessions <= SESSIONS_MAX

    def __str__(self) -> str:
        return (
            f"{self.logins} logins of {self.of}, {self.refused} of them refused; {self.sessions} sessions of a user;"
            f" posts p99 {percentile(self.posts, 0.99) * 1000:.1f} ms,"
            f" {percentile(self.quiet, 0.99) * 1000:.1f} ms before"
        )


def flood(folder: Path, of: str, seconds: float) -> Flood:
    with Server(folder) as server:
        _, key = server.call("GET", "/99/login")

        def post(number: int) -> Request:
            return "POST", f"/{number % 100}/score?sessionkey={key}", str(number)

        with Clients(server, 1, post, pause=0.002) as quiet:
            time.sleep(seconds / 2)
        user_of = FLOODS[of]
        with (
            Clients(server, CLIENTS, lambda number: ("GET", f"/{user_of(number)}/login", None)) as logins,
            Clients(server, 1, post, pause=0.002) as posts,
        ):
            time.sleep(seconds)
        refused = sum(answer.status != 200 for answer in logins.answers)
        return Flood(of, len(logins.answers), refused, _most_sessions(server), posts.answers, quiet.answers)


def _most_sessions(server: Server) -> int:
    with closing(sqlite3.connect(server.database)) as connection:
        ((count,),) = connection.execute(
            "SELECT max(sessions) FROM (SELECT count(*) AS sessions FROM sessions GROUP BY user_id)"
        ).fetchall()
    return int(count)


def main() -> int:
    """Prints what came of each flood; returns 1 where posts had to wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.flood", description="Flood a server with logins.")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    is_harmless = True
    for of in FLOODS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = flood(Path(folder), of, options.seconds)
        print(outcome, flush=True)
        is_harmless = is_harmless and outcome.is_harmless
    return 0 if is_harmless else 1


if __name__ == "__main__":
    sys.exit(main())
