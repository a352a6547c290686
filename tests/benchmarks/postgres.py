"""Measures the service on PostgreSQL: beside the one on SQLite, and by itself at the storage.

`python -m tests.benchmarks.postgres` needs `wrk` and Debian's `postgresql`: it starts a server of its own, which shares
this machine's cores with the service and the load, and syncs its disk. "Without ranks" stores the scores alone: no lock
on a level, no counts. "Nothing" is posts with ranks of which no history is kept, on levels without periods.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import accumulate, product, repeat
from pathlib import Path

from tqdm import tqdm

from scoresvc.config import Config, DatabaseOptions
from scoresvc.levels import LevelSettings
from scoresvc.periods import ALL_TIME
from scoresvc.storage import Store, migrate_database, open_store, repair
from scoresvc.storage.postgres import transactions
from scoresvc.storage.postgres.library import psycopg, write_array
from scoresvc.storage.postgres.outcomes import Post
from scoresvc.storage.postgres.pool import ConnectionPool
from scoresvc.storage.postgres.posting import send_batch
from scoresvc.storage.postgres.rules import make_post_rules
from scoresvc.storage.postgres.scores import PipelinedScores
from scoresvc.storage.postgres.transactions import PipelinedChange, PipelinedTransactions, SentChange
from scoresvc.storage.postgres.workers import BATCH_MAX, Workers
from scoresvc.storage.write import Write
from tests.benchmarks.boards import KEPT
from tests.benchmarks.http import LEVELS, SCRIPT, USERS
from tests.benchmarks.keys import write_keys
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import WORKLOADS, positive
from tests.benchmarks.ranks import DISTRIBUTIONS, LEVEL, RISES
from tests.benchmarks.results import Spread, ratios, spread
from tests.benchmarks.servers import CONFIG, ROOT, SERVICE, SESSION_LIFETIME, end_in_order_on_sigterm
from tests.benchmarks.wrk import load, require_wrk
from tests.postgres import Cluster
from tests.running import Server

SCORE_MAX = 2**31 - 1
PLAYERS = 10_000  # of each of the levels, at the storage
QUESTIONS = 3000
CONNECTIONS = 2  # that post, at the storage
SETTINGS = ("max_wal_size=2GB", "shared_buffers=1GB", "checkpoint_timeout=15min")


# Through one node


def compare_engines(
    cluster: Cluster, folder: Path, rounds: int, seconds: int
) -> Iterator[tuple[str, Spread, Spread, Spread]]:
    """Yields for each workload the requests a second on SQLite and on PostgreSQL, and their ratio."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(folder / "sqlite", "")),
            stack.enter_context(serving(folder / "postgres", stack.enter_context(cluster.database()))),
        ]
        keys = [write_keys(server, range(USERS)) for server in servers]
        rates: dict[tuple[str, int], list[float]] = {}
        for _, workload, place in tqdm(list(product(range(rounds), WORKLOADS, range(2))), desc="nodes"):
            loaded = load(servers[place], SCRIPT, 32, seconds, workload, keys[place])
            rates.setdefault((workload, place), []).append(loaded.rate)
    for workload in WORKLOADS:
        sqlite, postgres = rates[workload, 0], rates[workload, 1]
        yield workload, spread(sqlite), spread(postgres), ratios(postgres, sqlite)


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Server]:
    """Runs a node in `folder`, with 20 scores on each level."""
    folder.mkdir()
    database = DatabaseOptions(path=folder / "scores.sqlite3", url=url)
    with closing(open_store(Config(database=database))) as store:
        for write in [store.scores.post(number % LEVELS, number * 7 % USERS, number) for number in range(20 * LEVELS)]:
            write.result()
    text = CONFIG.format(settings="", lifetime=SESSION_LIFETIME) + f"[database]\nurl = {url}\n"
    (folder / "config.ini").write_text(text)
    with Server(folder, command=SERVICE, environ={"PYTHONPATH": str(ROOT), "SCORESVC_CONFIG": ""}) as server:
        yield server


# At the storage


STORE_ALONE = """
INSERT INTO scores (level_id, period, user_id, score, reached_at)
SELECT post.level_id, 0, post.user_id, post.score,
       post.place + (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
  FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[])
       WITH ORDINALITY AS post (level_id, user_id, score, place)
    ON CONFLICT (level_id, period, user_id)
       DO UPDATE SET score = excluded.score,
                     reached_at = excluded.reached_at
               WHERE excluded.score > scores.score
"""


class UnrankedScores:
    """Posts of which nothing but the best scores is kept."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._change = PipelinedChange("post", self._send)

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=False), lambda output: None)

    def _send(self, connection: psycopg.Connection[tuple[object, ...]], posts: list[Post]) -> SentChange[None]:
        best: dict[tuple[int, int], int] = {}
        for level_id, user_id, score, _ in posts:
            best[level_id, user_id] = max(score, best.get((level_id, user_id), 0))
        levels, users = zip(*best, strict=True)
        values = {"levels": write_array(levels), "users": write_array(users), "scores": write_array(best.values())}
        connection.execute(STORE_ALONE, values)
        return SentChange(lambda: [None] * len(posts))


Forms = dict[str, PipelinedScores | UnrankedScores]


@contextmanager
def scores_of(url: str, threads: int) -> Iterator[Forms]:
    with closing(ConnectionPool(url, threads + 2, prepares=True)) as pool:
        pipelined = PipelinedTransactions(pool, "full", lambda writes: None, transactions.SETTINGS)
        workers = Workers("posts", threads, pipelined.commit, lambda waiting: None)
        forms: Forms = {"without ranks": UnrankedScores(workers)}
        for name, (keeps_history, periods) in KEPT.items():
            rules = make_post_rules(LevelSettings(periods=periods), keeps_history)
            forms[name] = PipelinedScores(workers, None, send_batch, rules, tells_held=False)
        yield forms
        workers.stop()


def post_batches(scores: PipelinedScores | UnrankedScores, posts: Sequence[tuple[int, int, int]]) -> float:
    """Returns the posts a second; as many wait as fill the batches of all connections twice."""
    room = threading.Semaphore(2 * CONNECTIONS * BATCH_MAX)
    began = time.perf_counter()
    for post in posts:
        room.acquire()
        write = scores.post(*post)
        write.add_done_callback(lambda done: room.release())
    for _ in range(2 * CONNECTIONS * BATCH_MAX):
        room.acquire()
    write.result()
    return len(posts) / (time.perf_counter() - began)


def measure_storage(url: str, rounds: int, count: int) -> dict[str, tuple[Spread, Spread]]:
    """Returns the improving posts a second to 100 levels of 10,000 players, and their ratio to those without ranks."""
    fill_levels(url)
    chance = random.Random(1)
    rises = accumulate(repeat(1000), initial=SCORE_MAX // 4)
    rates: dict[str, list[float]] = {}
    with scores_of(url, CONNECTIONS) as forms:
        for turn in tqdm(range(rounds + 1), desc="posts"):
            for name, form in forms.items():
                posts = [
                    (chance.randrange(LEVELS), chance.randrange(PLAYERS), next(rises) % SCORE_MAX) for _ in range(count)
                ]
                rate = post_batches(form, posts)
                if turn:  # the first one warms up
                    rates.setdefault(name, []).append(rate)
    return {name: (spread(measured), ratios(measured, rates["without ranks"])) for name, measured in rates.items()}


def fill_levels(url: str) -> None:
    settings = Config(database=DatabaseOptions(url=url))
    migrate_database(settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            SELECT level_id, 0, user_id, (random() * %(most)s)::int, user_id
              FROM generate_series(0, %(levels)s - 1) AS level_id, generate_series(0, %(players)s - 1) AS user_id
            """,
            {"most": SCORE_MAX // 4, "levels": LEVELS, "players": PLAYERS},
        )
        repair(settings)
        connection.execute("VACUUM ANALYZE")


# One large level


def fill(url: str, distribution: str, players: int) -> None:
    """Makes a database of one level with so many players."""
    settings = Config(database=DatabaseOptions(url=url))
    migrate_database(settings)
    score_of = DISTRIBUTIONS[distribution]
    rows = "COPY scores (level_id, period, user_id, score, reached_at) FROM STDIN"
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(rows) as copy:
        for player in tqdm(range(players), desc=f"{players:,} {distribution}", unit_scale=True, leave=False):
            copy.write_row((LEVEL, 0, player, score_of(player), player))
    repair(settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def time_ranks(store: Store, players: int) -> list[float]:
    """Returns the milliseconds of each question for a rank, sorted."""
    chance, times = random.Random(players), []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        store.boards.standing(LEVEL, ALL_TIME, chance.randrange(players))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def measure_large_posts(url: str, distribution: str, players: int, rounds: int) -> Spread:
    """Returns what a post with ranks costs in one without, on one connection: the lock of the level admits no two."""
    chance = random.Random(players)
    costs: tuple[list[float], list[float]] = [], []
    score_of = DISTRIBUTIONS[distribution]
    with scores_of(url, 1) as forms:
        for turn in range(rounds + 1):
            for form, measured in zip((forms["nothing"], forms["without ranks"]), costs, strict=True):
                users = [chance.randrange(players) for _ in range(20 * BATCH_MAX)]
                rise = RISES[distribution]
                posts = [(LEVEL, user, min(score_of(user) + chance.randint(1, rise), SCORE_MAX)) for user in users]
                rate = post_batches(form, posts)
                if turn:
                    measured.append(rate)
    return ratios(costs[1], costs[0])


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=positive, default=2, help="of one load through a node")
    parser.add_argument("--posts", type=positive, default=40_000, help="at the storage, in a round")
    parser.add_argument("--players", type=positive, nargs="*", default=[10_000_000], help="of one level")
    parser.add_argument("--distributions", nargs="+", choices=DISTRIBUTIONS, default=list(DISTRIBUTIONS))
    parser.add_argument(
        "--only", nargs="+", choices=("nodes", "storage", "level"), default=("nodes", "storage", "level")
    )
    chosen = parser.parse_args()
    require_wrk()
    end_in_order_on_sigterm()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        cluster = Cluster(Path(name) / "data", SETTINGS)
        cluster.make()
        cluster.start()
        try:
            run(cluster, Path(name), chosen)
        finally:
            cluster.stop()


def run(cluster: Cluster, folder: Path, chosen: object) -> None:
    if "nodes" in chosen.only:
        for workload, sqlite, postgres, ratio in compare_engines(cluster, folder, chosen.rounds, chosen.seconds):
            print(f"{workload}: SQLite {sqlite:,.0f}/s, PostgreSQL {postgres:,.0f}/s, ratio {ratio:.2f}", flush=True)
    if "storage" in chosen.only:
        with cluster.database() as url:
            for name, (rate, ratio) in measure_storage(url, chosen.rounds, chosen.posts).items():
                print(f"storage, {name}: {rate:,.0f} posts/s, of those without ranks {ratio:.2f}", flush=True)
    if "level" in chosen.only:
        for players, distribution in product(chosen.players, chosen.distributions):
            with cluster.database() as url:
                fill(url, distribution, players)
                with closing(open_store(Config(database=DatabaseOptions(path=folder / "x", url=url)))) as store:
                    times = time_ranks(store, players)
                ratio = measure_large_posts(url, distribution, players, chosen.rounds)
                print(
                    f"{players:,} {distribution}: rank p50 {times[len(times) // 2]:.2f} ms,"
                    f" p99 {times[len(times) * 99 // 100]:.2f} ms; a post of one without ranks {ratio:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
