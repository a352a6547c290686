"""Measures what it costs to ask where a player stands, and to post, as one level grows.

`python -m tests.benchmarks.ranks` makes a level of each size with three kinds of scores: spread evenly, dense (0 to
1,000, so that thousands are equal) and heavy-tailed. It asks the store itself, without a server in between, and
counts all better scores with COUNT(*) beside it. Posts are durable, of many threads at once, in turns with those to a
copy of the database that keeps no blocks.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from scoresvc.config import Config, DatabaseOptions
from scoresvc.periods import ALL, ALL_TIME
from scoresvc.storage import Store, open_store, repair
from scoresvc.storage.sqlite.library import sqlite3
from tests.benchmarks.filling import FIRST_REACHED_AT, FOR_SPEED
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import positive
from tests.benchmarks.report import write_conditions, write_tables
from tests.benchmarks.results import PostCost, RankCost, Results

LEVEL = 1
SIZES = (10_000, 1_000_000, 10_000_000)
QUESTIONS = 2000  # of each call
COUNTS = 40  # with COUNT(*), each of which may take a quarter of a second
THREADS = 16  # that post
POSTS = 200  # of each of them, in a round
ROUNDS = 5
SCORE_MAX = 2**31 - 1

DISTRIBUTIONS: dict[str, Callable[[int], int]] = {
    "spread": lambda player: player * 618_033_989 % 1_000_000_000,
    "dense": lambda player: player * 618_033_989 % 1001,
    "heavy-tailed": lambda player: int(100 * ((player * 618_033_989 % 1_000_003 + 1) / 1_000_004) ** -1.2),
}
RISES = {"spread": 10_000_000, "dense": 10, "heavy-tailed": 1000}  # by which a post improves at most


def measure(sizes: Iterable[int], distributions: Iterable[str], rounds: int) -> tuple[list[RankCost], list[PostCost]]:
    ranks, posts = [], []
    for players in sizes:
        for distribution in distributions:
            with tempfile.TemporaryDirectory() as folder:
                path, bare = Path(folder) / "with.sqlite3", Path(folder) / "without.sqlite3"
                make(path, distribution, players)
                shutil.copyfile(path, bare)
                drop_triggers(bare)
                with ExitStack() as stack:
                    store, without = (
                        stack.enter_context(closing(open_store(Config(database=DatabaseOptions(path=each)))))
                        for each in (path, bare)
                    )
                    ranks += [
                        RankCost(distribution, players, call, milliseconds)
                        for call, milliseconds in ask(store, path, players)
                    ]
                    posts.append(PostCost(distribution, players, *post(store, without, distribution, players, rounds)))
    return ranks, posts


def make(path: Path, distribution: str, players: int, period: int = ALL) -> None:
    """Makes a database with one board; what follows from its scores is made at the end, which is faster."""
    open_store(Config(database=DatabaseOptions(path=path))).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in FOR_SPEED:
            connection.execute(pragma)
        later = connection.execute(
            """
            SELECT type, name, sql
              FROM sqlite_schema
             WHERE tbl_name = 'scores' AND type IN ('index', 'trigger') AND sql IS NOT NULL
            """
        ).fetchall()
        for kind, name, _ in later:
            connection.execute(f"DROP {kind} {name}")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO scores VALUES (?, ?, ?, ?, ?)", rows(distribution, players, period))
        connection.execute("COMMIT")
        for _, _, sql in tqdm(later, desc="indexes", leave=False):
            connection.execute(sql)
    repair(Config(database=DatabaseOptions(path=path)))


def rows(distribution: str, players: int, period: int) -> Iterator[tuple[int, int, int, int, int]]:
    score_of = DISTRIBUTIONS[distribution]
    for player in tqdm(range(players), desc=f"{players:,} {distribution}", unit="", unit_scale=True, leave=False):
        yield LEVEL, period, player, score_of(player), FIRST_REACHED_AT + player


def drop_triggers(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")


def ask(store: Store, path: Path, players: int) -> Iterator[tuple[str, list[float]]]:
    """Yields each call with the milliseconds that each of its questions took."""
    chance = random.Random(players)
    users = [chance.randrange(players) for _ in range(QUESTIONS)]
    boards = [store.boards.around(LEVEL, ALL_TIME, user, 2) for user in users]
    cursors = [board.next for board in boards if board]
    yield "rank", timed(partial(store.boards.standing, LEVEL, ALL_TIME), users)
    yield "around", timed(lambda user: store.boards.around(LEVEL, ALL_TIME, user, 15), users)
    yield "page", timed(lambda cursor: store.boards.page(LEVEL, ALL_TIME, 15, cursor), cursors)
    with closing(sqlite3.connect(path)) as connection:
        yield "COUNT(*)", timed(partial(count_better, connection), users[:COUNTS])


def timed(question: Callable[..., object], arguments: Sequence[object]) -> list[float]:
    milliseconds = []
    for argument in arguments:
        began = time.perf_counter()
        question(argument)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return milliseconds


def count_better(connection: sqlite3.Connection, user: int) -> None:
    connection.execute(
        """
        SELECT count(*)
          FROM scores
         WHERE level_id = :level_id
           AND period = 0
           AND score > (SELECT score FROM scores WHERE level_id = :level_id AND period = 0 AND user_id = :user_id)
        """,
        {"level_id": LEVEL, "user_id": user},
    ).fetchall()


def post(store: Store, without: Store, distribution: str, players: int, rounds: int) -> tuple[list[float], list[float]]:
    """Returns for each round the microseconds a post, with blocks and without."""
    chance = random.Random(players)
    costs: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        posts = list(improvements(store, distribution, players, chance))
        for each, cost in zip((store, without), costs, strict=True):
            cost.append(post_all(each, posts))
    return costs


def improvements(store: Store, distribution: str, players: int, chance: random.Random) -> Iterator[tuple[int, int]]:
    for _ in range(THREADS * POSTS):
        standing = store.boards.standing(LEVEL, ALL_TIME, chance.randrange(players))
        if standing:
            yield standing.user_id, min(standing.score + chance.randint(1, RISES[distribution]), SCORE_MAX)


def post_all(store: Store, posts: Sequence[tuple[int, int]]) -> float:
    """Returns the microseconds a post of THREADS threads that post at once."""

    def post_some(first: int) -> None:
        for user, score in posts[first::THREADS]:
            store.scores.post(LEVEL, user, score).result()

    threads = [threading.Thread(target=post_some, args=(first,)) for first in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / len(posts) * 1_000_000


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--players", nargs="+", type=positive, metavar="PLAYERS", default=SIZES, help="on the level")
    parser.add_argument("--distributions", nargs="+", choices=DISTRIBUTIONS, default=list(DISTRIBUTIONS))


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--rounds", type=positive, default=ROUNDS, help="of posts")
    chosen: Namespace = parser.parse_args()
    print(write_conditions(describe_machine(), vars(chosen)))
    ranks, posts = measure(chosen.players, chosen.distributions, chosen.rounds)
    print(write_tables(Results(ranks=ranks, posts=posts)))


if __name__ == "__main__":
    main()
