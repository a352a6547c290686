"""Measures what history and periods cost on SQLite: posts over HTTP, ranks and pages in a period, bytes a row.

`python -m tests.benchmarks.boards` needs `wrk`. Posts go to one process of `scoresvc serve`, 1,000 users on 100 levels.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from scoresvc.config import Config, DatabaseOptions
from scoresvc.levels import LevelOptions
from scoresvc.periods import current_periods
from scoresvc.storage import open_store
from scoresvc.storage.sqlite.library import sqlite3
from tests.benchmarks.http import LEVELS, SCRIPT, USERS
from tests.benchmarks.keys import write_keys
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import positive
from tests.benchmarks.ranks import LEVEL, QUESTIONS, make, timed
from tests.benchmarks.results import Spread, ratios, spread
from tests.benchmarks.servers import CONFIG, ROOT, SERVICE, SESSION_LIFETIME, end_in_order_on_sigterm
from tests.benchmarks.wrk import load, require_wrk
from tests.running import Server

POSTS_WEIGHED = 200_000  # for the bytes a row
BATCH = 100
TICKS = os.sysconf("SC_CLK_TCK")  # a second

# What is kept of a post besides the best of all time: history, with the periods of all levels.
KEPT: dict[str, tuple[bool, tuple[str, ...]]] = {
    "nothing": (False, ()),
    "history": (True, ()),
    "history and a day": (True, ("day",)),
    "history and all periods": (True, ("day", "week", "month")),
}


class PostRates(NamedTuple):
    """Of posts with something kept: how many a second, beside nothing, and microseconds of processor time of each."""

    rate: Spread
    ratio: Spread
    microseconds: Spread


# Posts


def compare_posts(folder: Path, rounds: int, seconds: int, package: Path = ROOT) -> dict[str, PostRates]:
    rates: dict[str, list[float]] = {name: [] for name in KEPT}
    costs: dict[str, list[float]] = {name: [] for name in KEPT}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(folder, name, package)) for name in KEPT}
        keys = {name: write_keys(server, range(USERS)) for name, server in servers.items()}
        for _, name in tqdm(list(product(range(rounds), KEPT)), desc="posts"):
            before = seconds_of(servers[name].process.pid)
            loaded = load(servers[name], SCRIPT, 32, seconds, "post", keys[name])
            rates[name].append(loaded.rate)
            costs[name].append((seconds_of(servers[name].process.pid) - before) / (loaded.rate * seconds) * 1_000_000)
    return {
        name: PostRates(spread(rates[name]), ratios(rates[name], rates["nothing"]), spread(costs[name]))
        for name in KEPT
    }


@contextmanager
def serving(folder: Path, name: str, package: Path) -> Iterator[Server]:
    keeps_history, periods = KEPT[name]
    own = folder / name
    own.mkdir()
    (own / "config.ini").write_text(
        CONFIG.format(settings="", lifetime=SESSION_LIFETIME)
        + f"[history]\nkeep = {'yes' if keeps_history else 'no'}\n[levels]\nperiods = {','.join(periods) or 'none'}\n"
    )
    with Server(own, command=SERVICE, environ={"PYTHONPATH": str(package), "SCORESVC_CONFIG": ""}) as server:
        yield server


def seconds_of(pid: int) -> float:
    """Returns the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# Reads in a period


def measure_reads(path: Path, players: int) -> Iterator[tuple[str, list[float]]]:
    """Yields each call about a month of so many players, with the milliseconds that each of its questions took."""
    chance, now = random.Random(players), int(time.time() * 1_000_000)
    (month,) = current_periods("UTC", ("month",), now)
    make(path, "spread", players, month.number)
    with closing(open_store(Config(database=DatabaseOptions(path=path)))) as store:
        users = [chance.randrange(players) for _ in range(QUESTIONS)]
        boards = [store.boards.around(LEVEL, month, user, 2) for user in users]
        cursors = [board.next for board in boards if board]
        yield "rank", timed(partial(store.boards.standing, LEVEL, month), users)
        yield "around", timed(lambda user: store.boards.around(LEVEL, month, user, 15), users)
        yield "page", timed(lambda cursor: store.boards.page(LEVEL, month, 15, cursor), cursors)


# Bytes


def weigh_rows(path: Path) -> Iterator[tuple[str, float]]:
    """Yields tables with the bytes that a row takes, its indexes included, after posts to a level with days."""
    chance = random.Random(0)
    levels = LevelOptions(periods=("day",))
    with closing(open_store(Config(database=DatabaseOptions(path=path), levels=levels))) as store:
        for _ in range(POSTS_WEIGHED // BATCH):
            writes = [
                store.scores.post(chance.randrange(LEVELS), chance.randrange(10 * USERS), chance.randrange(10**6))
                for _ in range(BATCH)
            ]
            for write in writes:
                write.result()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in ("submissions", "scores"):
            ((count,),) = connection.execute(f"SELECT count(*) FROM {table}")
            yield table, _bytes_of(connection, table) / count


def _bytes_of(connection: sqlite3.Connection, table: str) -> int:
    """Returns the bytes of the pages that are free when the table is gone."""
    ((page_size,),) = connection.execute("PRAGMA page_size")
    connection.execute("BEGIN IMMEDIATE")
    ((before,),) = connection.execute("PRAGMA freelist_count")
    connection.execute(f"DROP TABLE {table}")
    ((after,),) = connection.execute("PRAGMA freelist_count")
    connection.execute("ROLLBACK")
    return int(page_size * (after - before))


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--seconds", type=positive, default=2, help="of one load")
    parser.add_argument("--players", type=positive, default=1_000_000, help="in a month")
    chosen = parser.parse_args()
    require_wrk()
    end_in_order_on_sigterm()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kept, posts in compare_posts(folder, chosen.rounds, chosen.seconds).items():
            print(
                f"posts with {kept}: {posts.rate:,.0f}/s, of those with nothing {posts.ratio:.2f},"
                f" processor {posts.microseconds:.0f} us"
            )
        for call, milliseconds in measure_reads(folder / "reads.sqlite3", chosen.players):
            median, p99 = (percentile(milliseconds, share) for share in (0.5, 0.99))
            print(f"{call} in a month of {chosen.players:,} players: median {median:.2f} ms, p99 {p99:.2f} ms")
        for table, weight in weigh_rows(folder / "bytes.sqlite3"):
            print(f"a row of {table} takes {weight:.0f} bytes")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    main()
