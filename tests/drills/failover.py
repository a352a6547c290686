"""Kills the primary under load, many times, promotes its standby, then looks for the scores that were acknowledged."""

from __future__ import annotations

import argparse
import http.client
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import migrate_database, repair
from scoresvc.storage.postgres.library import psycopg
from tests.nodes import SYNCHRONOUS, faults_of, make_synchronous, read_bests, start_nodes, url_of
from tests.postgres import Cluster, free_port
from tests.running import START_WAIT, Server, call

NODES = 3
CLIENTS = 6  # that post, by turns to the nodes
CROWDED_LEVEL = 0  # has so many players that its ranks are kept in bands
CROWD = 3000
OUT_MAX = 10.0  # seconds from the end of the promotion to the first acknowledged post of each node
PAUSE = 0.02  # seconds that a client waits after a refusal
SECONDS_MAX = 120.0  # for the posts of one failover


class Answer(NamedTuple):
    node: int
    began: float  # of time.monotonic, in seconds
    ended: float
    status: int


class Client(threading.Thread):
    """Posts to a node, each score to a new level or to the crowded one, and reads a list now and then."""

    def __init__(self, node: int, server: Server, user: int) -> None:
        super().__init__()
        self._node = node
        self._server = server
        self._user = user
        _, self._key = server.call("GET", f"/{user}/login")
        self._told_to_stop = threading.Event()
        self.acknowledged: dict[tuple[int, int], int] = {}  # the best, by level and user
        self.posts: list[Answer] = []
        self.reads: list[Answer] = []
        self.cut_off: list[Exception] = []

    def run(self) -> None:
        for number in range(1, 10**6):
            if self._told_to_stop.is_set():
                return
            self._post(number)
            if number % 4 == 0 or self.posts[-1].status != 200:
                self.reads.append(self._call("GET", f"/{self._user * 10**6 + 1}/highscorelist"))
            if number % 20 == 0:
                self._call("GET", "/ready")  # as what watches over a node does
            if self.posts[-1].status != 200:
                self._told_to_stop.wait(PAUSE)

    def _post(self, number: int) -> None:
        level = CROWDED_LEVEL if number % 5 == 0 else self._user * 10**6 + number
        answer = self._call("POST", f"/{level}/score?sessionkey={self._key}", f"{number}")
        if answer.status == 200:
            self.acknowledged[level, self._user] = number
        self.posts.append(answer)

    def _call(self, method: str, path: str, body: str | None = None) -> Answer:
        """Each on a connection of its own, as a browser game that was just opened."""
        began, status = time.monotonic(), 0
        try:
            with closing(self._server.connect()) as connection:
                status, _ = call(connection, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self.cut_off.append(error)
        return Answer(self._node, began, time.monotonic(), status)

    def stop(self) -> None:
        self._told_to_stop.set()


class Failover(NamedTuple):
    promotion: float  # seconds from the kill to the end of `pg_ctl promote`
    out: float  # seconds from there until each node had acknowledged a post
    reads_out: float  # seconds without a list, at most, of any node


class FailoverOutcome(NamedTuple):
    failovers: list[Failover]
    acknowledged: int
    lost: int
    statuses: set[int]  # of the posts
    read_statuses: set[int]
    cut_off: int  # calls without an answer
    slowest: float  # seconds
    faults: list[str]  # of the database
    warnings: int  # of nodes, that a primary had no synchronous standby

    def __str__(self) -> str:
        lines = [
            f"{number}: promoted in {each.promotion:.2f} s, out for {each.out:.2f} s beyond that,"
            f" without a list for {each.reads_out:.2f} s"
            for number, each in enumerate(self.failovers, 1)
        ]
        return "\n".join(
            [
                *lines,
                f"{len(self.failovers)} failovers: {self.acknowledged} posts acknowledged, {self.lost} lost;"
                f" statuses {sorted(self.statuses)}, of reads {sorted(self.read_statuses)}; {self.cut_off} cut off,"
                f" the slowest took {self.slowest:.2f} s; out for {max(each.out for each in self.failovers):.2f} s at"
                f" most; {len(self.faults)} faults of the database; {self.warnings} warnings of a primary alone",
            ]
        )


def fail_over_repeatedly(folder: Path, count: int, posts: int) -> FailoverOutcome:
    """Fails over `count` times, each after `posts` more acknowledged posts."""
    with _serving_pair(folder) as pair:
        servers = list(pair)
        url = url_of(sorted(servers, key=lambda server: server.port))
        _make_crowd(servers[0])
        with start_nodes(folder, NODES, url) as nodes:
            clients = [Client(each % NODES, nodes[each % NODES], each + 1) for each in range(CLIENTS)]
            for client in clients:
                client.start()
            try:
                failovers = [_fail_over(folder, number, pair, clients, posts) for number in range(count)]
                _wait_for_posts(clients, posts)
            finally:
                for client in clients:
                    client.stop()
                for client in clients:
                    client.join(START_WAIT)
            return _judge(failovers, clients, nodes, pair[0].url("scores"))


@contextmanager
def _serving_pair(folder: Path) -> Iterator[list[Cluster]]:
    """Yields a primary with its synchronous standby, in a list that `_fail_over` changes."""
    primary = Cluster(folder / "first", SYNCHRONOUS, free_port())
    standby = Cluster(folder / "second", SYNCHRONOUS, free_port())
    pair = [primary, standby]
    try:
        primary.make()
        primary.start()
        with primary.connect() as connection:
            connection.execute("CREATE DATABASE scores")
        make_synchronous(primary, standby)
        yield pair
    finally:
        for cluster in pair:
            cluster.kill()


def _make_crowd(primary: Cluster) -> None:
    config = Config(database=DatabaseOptions(url=primary.url("scores")))
    migrate_database(config)
    with psycopg.connect(primary.url("scores"), autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            SELECT %s, 0, 1000 + number, number * 7, number
              FROM generate_series(1, %s) AS number
            """,
            (CROWDED_LEVEL, CROWD),
        )
    repair(config)


def _fail_over(folder: Path, number: int, pair: list[Cluster], clients: Sequence[Client], posts: int) -> Failover:
    _wait_for_posts(clients, posts)
    time.sleep(random.random() * 0.01)  # so that the kill may hit any moment of a commit
    primary, standby = pair
    killed_at = time.monotonic()
    primary.kill()
    standby.promote()
    promoted_at = time.monotonic()
    out = max(_first_acknowledged(clients, node, promoted_at) for node in range(NODES)) - promoted_at
    ended_at = time.monotonic()
    shutil.rmtree(primary.folder)
    pair[:] = standby, Cluster(folder / f"standby{number}", SYNCHRONOUS, primary.port)
    make_synchronous(*pair)
    reads_out = max(_longest_gap(clients, node, killed_at, ended_at) for node in range(NODES))
    return Failover(promoted_at - killed_at, out, reads_out)


def _wait_for_posts(clients: Sequence[Client], more: int) -> None:
    def acknowledged() -> int:
        return sum(post.status == 200 for client in clients for post in list(client.posts))

    wanted, until = acknowledged() + more, time.monotonic() + SECONDS_MAX
    while acknowledged() < wanted:
        assert time.monotonic() < until, "too slow"
        assert all(client.is_alive() for client in clients)
        time.sleep(0.05)


def _first_acknowledged(clients: Sequence[Client], node: int, since: float) -> float:
    """Returns when a node first acknowledged a post that ended after `since`."""
    until = time.monotonic() + 3 * OUT_MAX
    while time.monotonic() < until:
        for client in clients:
            for post in client.posts[-50:]:
                if post.node == node and post.status == 200 and post.ended >= since:
                    return post.ended
        time.sleep(0.005)
    raise AssertionError(f"node {node} did not find the new primary")


def _longest_gap(clients: Sequence[Client], node: int, since: float, until: float) -> float:
    """Returns the longest time between two lists of a node, in which the second began after `since`."""
    reads = [read for client in clients for read in list(client.reads) if read.node == node and read.status == 200]
    times = [since, *sorted(read.ended for read in reads if since <= read.ended <= until), until]
    return max(second - first for first, second in pairwise(times))


def _judge(failovers: list[Failover], clients: Sequence[Client], nodes: Sequence[Server], url: str) -> FailoverOutcome:
    bests = read_bests(url)
    posts = [post for client in clients for post in client.posts]
    reads = [read for client in clients for read in client.reads]
    return FailoverOutcome(
        failovers,
        sum(post.status == 200 for post in posts),
        sum(bests.get(key, -1) < score for client in clients for key, score in client.acknowledged.items()),
        {post.status for post in posts},
        {read.status for read in reads},
        sum(len(client.cut_off) for client in clients),
        max(answer.ended - answer.began for answer in posts + reads),
        faults_of(url),
        sum("no synchronous standby" in line for node in nodes for line in node.log.splitlines()),
    )


def main() -> int:
    """Prints the outcome; returns 1 where a score is lost, a rank is wrong or a node was out for long."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.failover", description="Kill the primary under load.")
    parser.add_argument("--count", type=int, default=20, help="failovers")
    parser.add_argument("--posts", type=int, default=1000, help="acknowledged before each of them, at least")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fail_over_repeatedly(Path(folder), options.count, options.posts)
    print(outcome)
    is_good = not outcome.lost and not outcome.faults and max(each.out for each in outcome.failovers) <= OUT_MAX
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
