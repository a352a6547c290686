"""Posts through one node and reads the list through another, right after the acknowledgement."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.nodes import start_nodes
from tests.postgres import Cluster
from tests.running import Server, call

CLIENTS = 4
NODES = 3


class FreshnessOutcome(NamedTuple):
    posts: int  # acknowledged
    stale: int  # lists without what was acknowledged
    refused: int  # calls that were not answered with 200

    def __str__(self) -> str:
        return f"{self.posts} posts acknowledged, {self.stale} lists stale, {self.refused} calls refused"


def read_own_posts(nodes: Sequence[Server], posts: int) -> FreshnessOutcome:
    """Makes so many posts, each a user's new best, with several clients; each posts and reads through all nodes."""
    clients = [_Client(nodes, user, posts // CLIENTS) for user in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return FreshnessOutcome(*(sum(each) for each in zip(*(client.outcome for client in clients), strict=True)))


class _Client(threading.Thread):
    def __init__(self, nodes: Sequence[Server], user: int, posts: int) -> None:
        super().__init__()
        self._nodes = nodes
        self._user = user
        self._posts = posts
        self.outcome = FreshnessOutcome(0, 0, 0)

    def run(self) -> None:
        posts = stale = refused = 0
        with ExitStack() as stack:
            connections = [node.connect() for node in self._nodes]
            for connection in connections:
                stack.callback(connection.close)
            _, key = call(connections[0], "GET", f"/{self._user}/login")
            for score in range(1, self._posts + 1):
                posting, reading = connections[score % NODES], connections[(score + 1 + score // NODES % 2) % NODES]
                status, _ = call(posting, "POST", f"/1/score?sessionkey={key}", f"{score}")
                read_status, text = call(reading, "GET", "/1/highscorelist")
                posts += status == 200
                refused += (status, read_status) != (200, 200)
                stale += status == 200 and f"{self._user}={score}" not in text.split(",")
        self.outcome = FreshnessOutcome(posts, stale, refused)


def main() -> int:
    """Prints the outcome; returns 1 where a list was stale."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.freshness", description="Read what was posted.")
    parser.add_argument("--posts", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "data")
        cluster.make()
        cluster.start()
        try:
            with cluster.database() as url, start_nodes(Path(folder), NODES, url) as nodes:
                outcome = read_own_posts(nodes, options.posts)
        finally:
            cluster.stop()
    print(outcome)
    return 1 if outcome.stale else 0


if __name__ == "__main__":
    sys.exit(main())
