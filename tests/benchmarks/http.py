"""Measures requests a second over HTTP: the service beside the least that its server could do.

`python -m tests.benchmarks.http` needs `wrk` (Debian's package of that name). All servers run at once, each
round loads them one after the other, so that a ratio compares neighbours in time. Posts are durable and
rise: each improves a best.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import open_store
from tests.benchmarks.keys import write_keys
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.options import Options, make_parser, read_options
from tests.benchmarks.report import write_conditions, write_tables
from tests.benchmarks.results import Comparison, Results
from tests.benchmarks.servers import SERVERS, end_in_order_on_sigterm, running
from tests.benchmarks.wrk import load, require_wrk
from tests.running import Server

USERS = 1000
LEVELS = 100

# Chooses by its first argument what to send; the keys of the users lie one a line in its second.
SCRIPT = """
local workload, keys, score = nil, {}, 0
function init(arguments)
    workload = arguments[1]
    for key in io.lines(arguments[2]) do keys[#keys + 1] = key end
    math.randomseed(os.time())
    score = (os.time() % 100000) * 20000
end
local function login() return wrk.format("GET", "/" .. math.random(0, #keys - 1) .. "/login") end
local function read() return wrk.format("GET", "/" .. math.random(0, 99) .. "/highscorelist") end
local function post()
    score = score + 1
    local path = "/" .. math.random(0, 99) .. "/score?sessionkey=" .. keys[math.random(#keys)]
    return wrk.format("POST", path, nil, tostring(score))
end
function request()
    if workload == "read" then return read() elseif workload == "post" then return post() end
    local turn = math.random(16)
    if turn == 1 then return login() elseif turn <= 6 then return post() else return read() end
end
"""


class Pair(NamedTuple):
    """Two servers of one kind, with the file of the keys for both."""

    bare: Server
    service: Server
    keys: Path


def measure(names: Sequence[str], options: Options) -> list[Comparison]:
    comparisons = [Comparison(name, workload, [], []) for workload in options.workloads for name in names]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pairs = {name: stack.enter_context(serving(Path(folder) / name, name, options.threads)) for name in names}
        turns = list(product(range(options.rounds), comparisons))
        for _, comparison in tqdm(turns, desc="HTTP", unit="turn"):
            pair = pairs[comparison.server]
            for server, loads in ((pair.bare, comparison.bare), (pair.service, comparison.service)):
                loads.append(load(server, SCRIPT, options.connections, options.seconds, comparison.workload, pair.keys))
    return comparisons


@contextmanager
def serving(folder: Path, name: str, threads: int | None) -> Iterator[Pair]:
    """Runs one of SERVERS twice, with either application."""
    kind = SERVERS[name]
    for application in ("bare", "service"):
        (folder / application).mkdir(parents=True)
    fill(folder / "service" / "scores.sqlite3")
    with (
        running(folder / "bare", kind, kind.bare, threads) as bare,
        running(folder / "service", kind, kind.service, threads) as service,
    ):
        yield Pair(bare, service, write_keys(service, range(USERS)))


def fill(path: Path) -> None:
    """Makes a database with 20 scores on each level."""
    with closing(open_store(Config(database=DatabaseOptions(path=path)))) as store:
        for number in range(20 * LEVELS):
            store.scores.post(number % LEVELS, (number * 7) % USERS, number).result()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--servers", nargs="+", metavar="NAME", choices=SERVERS, default=list(SERVERS))


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0])
    add_options(parser)
    chosen = parser.parse_args()
    require_wrk()
    end_in_order_on_sigterm()
    print(write_conditions(describe_machine(), vars(chosen)))
    print(write_tables(Results(http=measure(chosen.servers, read_options(chosen)))))


if __name__ == "__main__":
    main()
