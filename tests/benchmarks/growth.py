"""Measures what a request costs, and what the process holds in memory, as the database grows.

`python -m tests.benchmarks.growth` needs `wrk` (Debian's package of that name). It makes a database of each
size, see filling.py, and serves copies of them side by side; each round loads them one after the other with
the same requests, so that a ratio compares neighbours in time. Posts are durable; each improves the best
of a user somewhere in the middle of the level, so that it touches a place of its own in table and index.

The memory is the resident set of all processes of the server: code, heap and SQLite's own page caches, at
most 2 MB a connection. The file's pages in the cache of the operating system are in no process's set; here
all of the file stays there, as it does on a machine with more memory than scores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.migrate import read_migrations
from tests.benchmarks.filling import LARGE_LEVEL, POSTERS, Sample, fill, first_score
from tests.benchmarks.keys import write_keys
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import Options, make_parser, positive, read_options
from tests.benchmarks.report import write_conditions, write_tables
from tests.benchmarks.results import Disk, Growth, Memory, Results
from tests.benchmarks.servers import SERVERS, end_in_order_on_sigterm, running
from tests.benchmarks.wrk import load, require_wrk
from tests.running import Server

SIZES = (100_000, 1_000_000, 10_000_000)
RISE_MAX = 200_000_000  # by what the scores rise in all rounds: a fifth of what the best had in the beginning
POSTS_MAX = 20_000  # a second

# Its arguments: the chance of a login, then the chance of a post; that of the large level; how many other
# levels, how far apart; how much the scores have risen, by what they rise a post; how far apart the posters are,
# and the file with their keys.
SCRIPT = """
local logins, posts, large, levels, step, rise, rise_step, stride
local keys = {}
function init(arguments)
    local file = table.remove(arguments)
    for number, argument in ipairs(arguments) do arguments[number] = tonumber(argument) end
    logins, posts, large, levels, step, rise, rise_step, stride = unpack(arguments)
    for key in io.lines(file) do keys[#keys + 1] = key end
    math.randomseed(rise)
end
local function login(poster)
    return wrk.format("GET", "/" .. poster * stride .. "/login")
end
local function post(level, poster)
    rise = rise + rise_step
    local first_score = math.fmod(poster * stride * 618033989 + level * 7919, 1000000000)
    local path = "/" .. level .. "/score?sessionkey=" .. keys[poster + 1]
    return wrk.format("POST", path, nil, string.format("%d", first_score + rise))
end
function request()
    local turn, level, poster = math.random(), 0, math.random(0, 999)
    if math.random() >= large then
        level = step * math.random(levels)
        poster = (20 * math.random(0, 49) + level) % 1000
    end
    if turn < logins then return login(poster) end
    if turn < logins + posts then return post(level, poster) end
    return wrk.format("GET", "/" .. level .. "/highscorelist")
end
"""


class Workload(NamedTuple):
    """What is sent to which levels."""

    kind: str  # of options.WORKLOADS
    chances: tuple[float, float, float]  # of a login, of a post, of the large level rather than another
    levels: str  # "same": of the others, those that the smallest database has, too; "all": all of them


# With "same" the requests are the same in each database. With "all" there are also more different levels to ask for
# in a larger one, and of fewer of them does the service still remember the list.
WORKLOADS = {
    "read, large level": Workload("read", (0, 0, 1), "same"),
    "read, same levels": Workload("read", (0, 0, 0), "same"),
    "read, all levels": Workload("read", (0, 0, 0), "all"),
    "post, large level": Workload("post", (0, 1, 1), "same"),
    "post, same levels": Workload("post", (0, 1, 0), "same"),
    "post, all levels": Workload("post", (0, 1, 0), "all"),
    "mixed, same levels": Workload("mixed", (1 / 16, 5 / 16, 0.5), "same"),
}


def measure(
    names: Sequence[str], samples: Sequence[Sample], keep: Path | None, options: Options
) -> tuple[list[Disk], list[Growth], list[Memory]]:
    """Makes the databases, or takes from `keep` what is there, and loads each server with copies of them."""
    growths, memories = [], []
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        disk = [make(folder, sample) for sample in samples]
        for name in names:
            with tempfile.TemporaryDirectory() as copies, ExitStack() as servers_running:
                servers = {
                    sample: servers_running.enter_context(serving(folder, sample, Path(copies), name, options))
                    for sample in samples
                }
                growths += load_in_turns(servers, name, options)
                resident = {sample.size: resident_bytes(server.process.pid) for sample, server in servers.items()}
                memories.append(Memory(name, resident))
    return disk, growths, memories


def make(folder: Path, sample: Sample) -> Disk:
    """Makes the database of a sample where the folder does not have it."""
    path = folder / _name(sample)
    if path.exists():
        return Disk(sample.size, path.stat().st_size, None)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=folder) as unfinished,
        tqdm(total=sample.size, desc=f"making {sample.size:,} scores", unit="", unit_scale=True) as bar,
    ):
        for added in fill(Path(unfinished) / path.name, sample):
            bar.update(added)
        (Path(unfinished) / path.name).rename(path)
    return Disk(sample.size, path.stat().st_size, time.monotonic() - began)


def _name(sample: Sample) -> str:
    version = read_migrations()[-1].version
    return f"{sample.size}-of-{sample.largest}-version-{version}.sqlite3"


@contextmanager
def serving(folder: Path, sample: Sample, copies: Path, name: str, options: Options) -> Iterator[Server]:
    """Serves a copy of a database, on disk before it begins, with the keys of the posters beside it."""
    own = copies / str(sample.size)
    own.mkdir()
    shutil.copyfile(folder / _name(sample), own / "scores.sqlite3")
    with (own / "scores.sqlite3").open("rb") as copy:
        os.fsync(copy.fileno())
    kind = SERVERS[name]
    with running(own, kind, kind.service, options.threads) as server:
        write_keys(server, sample.posters)
        yield server


def load_in_turns(servers: dict[Sample, Server], name: str, options: Options) -> list[Growth]:
    smallest = min(servers, key=lambda sample: sample.size)
    growths = [
        Growth(name, workload, {sample.size: [] for sample in servers})
        for workload, parts in WORKLOADS.items()
        if parts.kind in options.workloads
    ]
    turns = list(product(range(options.rounds), growths))
    rise = RISE_MAX // len(turns)
    for turn, (_, growth) in enumerate(tqdm(turns, desc=f"growth, {name}", unit="turn")):
        workload = WORKLOADS[growth.workload]
        for sample, server in servers.items():
            asked = smallest if workload.levels == "same" else sample
            arguments = (
                len(asked.levels),
                asked.step,
                turn * rise,
                rise // (POSTS_MAX * options.seconds),
                sample.posters.step,
            )
            growth.loads[sample.size].append(
                load(
                    server,
                    SCRIPT,
                    options.connections,
                    options.seconds,
                    *workload.chances,
                    *arguments,
                    server.folder / "keys",
                )
            )
    if "post" in options.workloads:
        for sample, server in servers.items():
            require_rise(server, sample)
    return growths


def require_rise(server: Server, sample: Sample) -> None:
    """Raises RuntimeError where the posts to the large level were no new bests."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as connection:
        rises = [
            connection.execute(
                """
                SELECT score - :first_score
                  FROM scores
                 WHERE level_id = :level_id
                   AND period = 0
                   AND user_id = :user_id
                """,
                {"first_score": first_score(LARGE_LEVEL, user), "level_id": LARGE_LEVEL, "user_id": user},
            ).fetchone()[0]
            for user in sample.posters
        ]
    if max(rises) > RISE_MAX or statistics.median(rises) <= 0:
        raise RuntimeError(f"of {POSTERS} users, {sum(rise > 0 for rise in rises)} rose, by {max(rises)} at most")


def resident_bytes(pid: int) -> int:
    """The most that a process with its children has held resident; pages that they share count in each."""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = int(status.partition("VmHWM:")[2].split()[0])
    children = [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return kibibytes * 1024 + sum(resident_bytes(int(child)) for child in children)


def add_options(parser: argparse.ArgumentParser) -> None:
    names = ("scoresvc serve",)
    parser.add_argument("--growth-servers", nargs="+", metavar="NAME", choices=SERVERS, default=names)
    parser.add_argument("--sizes", nargs="+", type=positive, metavar="SCORES", default=SIZES)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keeps the databases there for the next run")


def read_samples(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> list[Sample]:
    """Returns the samples from the smallest on; ends the program where the sizes do not fit together."""
    try:
        return [Sample(size, max(chosen.sizes)) for size in sorted(set(chosen.sizes))]
    except ValueError as error:
        parser.error(f"argument --sizes: {error}")


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0])
    add_options(parser)
    chosen = parser.parse_args()
    samples = read_samples(parser, chosen)
    require_wrk()
    end_in_order_on_sigterm()
    print(write_conditions(describe_machine(), vars(chosen)))
    disk, growths, memories = measure(chosen.growth_servers, samples, chosen.keep, read_options(chosen))
    print(write_tables(Results(disk=disk, growth=growths, memory=memories)))


if __name__ == "__main__":
    main()
