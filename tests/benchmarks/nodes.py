"""Counts what a post costs with several nodes on one PostgreSQL server.

`python -m tests.benchmarks.nodes` needs `wrk` and Debian's `postgresql`. All of it runs on this machine, so the nodes
cannot be seen to scale; what each post takes of the nodes' and of the server's processors, in round trips, in rows and
in waits for locks says what would end first on a larger one.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import open_store
from scoresvc.storage.postgres.library import psycopg
from tests.benchmarks.http import SCRIPT, USERS
from tests.benchmarks.keys import write_keys
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import positive
from tests.benchmarks.postgres import SETTINGS
from tests.benchmarks.servers import CONFIG, ROOT, SERVICE, SESSION_LIFETIME, end_in_order_on_sigterm
from tests.benchmarks.wrk import load, require_wrk
from tests.postgres import Cluster
from tests.running import Server

CONNECTIONS = 64  # of all clients
TICKS = os.sysconf("SC_CLK_TCK")
ONE_LEVEL = SCRIPT.replace('"/" .. math.random(0, 99) .. "/score', '"/0/score')


class Costs(NamedTuple):
    """What the posts of one run took; times in microseconds a post."""

    nodes: int
    rate: float  # posts a second
    node_time: float
    server_time: float
    posts_in_transaction: float
    rows_written: float  # in a post
    waiting: float  # of the server's sessions for a lock, on average


def measure(cluster: Cluster, folder: Path, count: int, script: str, seconds: int) -> Costs:
    with ExitStack() as stack:
        url = stack.enter_context(cluster.database())
        nodes = [stack.enter_context(serving(folder / f"node{number}", url)) for number in range(count)]
        keys = write_keys(nodes[0], range(USERS))
        load(nodes[0], script, CONNECTIONS, 2, "post", keys)
        before = counts_of(cluster, url, nodes)
        waits = stack.enter_context(sampling(url))
        rates = load_all(nodes, script, seconds, keys)
        after = counts_of(cluster, url, nodes)
    posts = sum(rates) * seconds
    node_ticks, server_ticks, transactions, rows = (late - early for late, early in zip(after, before, strict=True))
    return Costs(
        count,
        sum(rates),
        node_ticks / TICKS * 1e6 / posts,
        server_ticks / TICKS * 1e6 / posts,
        posts / transactions,
        rows / posts,
        sum(waits) / max(1, len(waits)),
    )


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    with closing(open_store(Config(database=DatabaseOptions(path=folder / "scores.sqlite3", url=url)))):
        pass  # brought up to date
    text = CONFIG.format(settings="", lifetime=SESSION_LIFETIME) + f"[database]\nurl = {url}\n"
    (folder / "config.ini").write_text(text)
    with Server(folder, command=SERVICE, environ={"PYTHONPATH": str(ROOT), "SCORESVC_CONFIG": ""}) as server:
        yield server


def load_all(nodes: Sequence[Server], script: str, seconds: int, keys: Path) -> list[float]:
    """Returns the posts a second of each node, all loaded at once."""
    rates: list[float] = []

    def load_one(node: Server) -> None:
        rates.append(load(node, script, CONNECTIONS // len(nodes), seconds, "post", keys).rate)

    threads = [threading.Thread(target=load_one, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return rates


def counts_of(cluster: Cluster, url: str, nodes: Sequence[Server]) -> tuple[float, float, float, float]:
    """Returns ticks of the nodes and of the server, transactions and rows that were written, all since their start."""
    time.sleep(1.2)  # the server's sessions report once a second
    with cluster.connect() as connection:
        ((transactions, rows),) = connection.execute(
            """
            SELECT xact_commit, tup_inserted + tup_updated + tup_deleted
              FROM pg_stat_database
             WHERE datname = %s
            """,
            [url.rpartition("/")[2]],
        ).fetchall()
    return sum(ticks_of(node.process.pid) for node in nodes), ticks_below(cluster.pid), float(transactions), float(rows)


def ticks_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return float(fields[11]) + float(fields[12])


def ticks_below(pid: int) -> float:
    """Returns the ticks of a process's children, which are those of a server that serve."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(ticks_of(int(child)) for child in children)


@contextmanager
def sampling(url: str) -> Iterator[list[int]]:
    """Notes every 20 ms how many sessions wait for a lock."""
    stopping, waits = threading.Event(), list[int]()

    def sample() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stopping.wait(0.02):
                ((waiting,),) = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchall()
                waits.append(waiting)

    thread = threading.Thread(target=sample)
    thread.start()
    yield waits
    stopping.set()
    thread.join()


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=positive, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=positive, default=5)
    chosen = parser.parse_args()
    require_wrk()
    end_in_order_on_sigterm()
    print(describe_machine())
    print("| levels | nodes | posts/s | node, us | server, us | posts in a transaction | rows a post | lock waits |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        cluster = Cluster(Path(name) / "data", SETTINGS)
        cluster.make()
        cluster.start()
        try:
            for levels, script in ((100, SCRIPT), (1, ONE_LEVEL)):
                for count in chosen.nodes:
                    costs = measure(cluster, Path(name), count, script, chosen.seconds)
                    print(
                        f"| {levels} | {count} | {costs.rate:,.0f} | {costs.node_time:.0f} | {costs.server_time:.0f}"
                        f" | {costs.posts_in_transaction:.1f} | {costs.rows_written:.2f} | {costs.waiting:.2f} |",
                        flush=True,
                    )
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
