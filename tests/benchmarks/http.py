"""Measures requests a second over HTTP: the service beside a bare application on the same server.

`python -m tests.benchmarks.http [--servers NAME …] [--connections N] [--rounds N] [--seconds N]` needs
`wrk` (Debian's package of that name). All servers run at once, each round loads them one after the other,
so that a ratio compares neighbours in time. Posts are durable and rise: each improves a best.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, Database, Sessions
from scoresvc.sqlite import SQLITE_VERSION
from scoresvc.store import open_store
from tests.running import Server

USERS = 1000
LEVELS = 100
ROOT = Path(__file__).parent.parent.parent

# Chooses by its first argument what to send; the keys of the users lie one a line in its second.
WRK_SCRIPT = """
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


class Measured(NamedTuple):
    rate: float  # requests a second
    p99: float  # milliseconds
    longest: float  # milliseconds


def fill(folder: Path) -> Path:
    """Makes the database of one server; returns the file with the keys of its users, which last for a day."""
    config = Config(database=Database(path=folder / "scores.sqlite3"), sessions=Sessions(lifetime=86400))
    store = open_store(config)
    with closing(store):
        keys = [store.log_in(user).key for user in range(USERS)]
        for number in range(20 * LEVELS):
            store.post_score(number % LEVELS, (number * 7) % USERS, number)
    path = folder / "keys"
    path.write_text("\n".join(keys) + "\n")
    return path


@contextmanager
def served(folder: Path, name: str) -> Iterator[Server]:
    """Runs one of SERVERS in a folder of its own."""
    folder.mkdir()
    fill(folder)
    (folder / "config.ini").write_text("[sessions]\nlifetime = 86400\n")
    with Server(folder, command=SERVERS[name], environ={"PYTHONPATH": str(ROOT)}) as server:
        yield server


WAITRESS_SERVE = (sys.executable, "-m", "waitress", "--threads=8", "--listen=127.0.0.1:0")

SERVERS = {
    "waitress-serve, bare": (*WAITRESS_SERVE, "tests.benchmarks.bare:app"),
    "waitress-serve, scoresvc": (*WAITRESS_SERVE, "scoresvc:app"),
    "scoresvc serve, bare": (sys.executable, "-m", "tests.benchmarks.bare"),
    "scoresvc serve, scoresvc": (sys.executable, "-m", "scoresvc", "serve", "--port", "0"),
    "granian, bare": (sys.executable, "-m", "tests.benchmarks.bare", "granian"),
    "granian, scoresvc": (sys.executable, "-m", "scoresvc", "serve", "--port", "0", "--server", "granian"),
}


KINDS = ("waitress-serve", "scoresvc serve", "granian")


def load(server: Server, workload: str, connections: int, seconds: int) -> Measured:
    """Loads a server with wrk. Raises RuntimeError if any answer was not a success."""
    script = server.folder / "load.lua"
    script.write_text(WRK_SCRIPT)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(script)]
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}", "--", workload, str(server.folder / "keys")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return Measured(rate, _milliseconds(output, r"99%\s+"), _milliseconds(output, r"Latency(?:\s+\S+){2}\s+"))


def _milliseconds(output: str, before: str) -> float:
    number, unit = re.search(before + r"([\d.]+)(us|ms|s)", output).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--workloads", nargs="+", default=["read", "post", "mixed"])
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: apt-get install wrk")
    print(
        f"{options.connections} connections kept alive, {USERS} users, {LEVELS} levels, durability full,"
        f" {options.rounds} rounds of {options.seconds} s; Python {platform.python_version()}, SQLite {SQLITE_VERSION}"
    )
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        servers = {
            name: stack.enter_context(served(Path(temporary) / str(number), name))
            for number, name in enumerate(SERVERS)
            if name.partition(",")[0] in options.servers
        }
        for workload in options.workloads:
            measure(servers, workload, options)


def measure(servers: dict[str, Server], workload: str, options: argparse.Namespace) -> None:
    """Prints a line for each server: the median, least and most of its rate, and its ratio to the bare one."""
    results: dict[str, list[Measured]] = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            results[name].append(load(server, workload, options.connections, options.seconds))
    for name, measured in results.items():
        bare = results[name.replace(", scoresvc", ", bare")]
        ratio = statistics.median(mine.rate / its.rate for mine, its in zip(measured, bare, strict=True))
        rates = [each.rate for each in measured]
        print(
            f"{workload:6} {name:26} {statistics.median(rates):7.0f}/s ({min(rates):.0f} to {max(rates):.0f})"
            f"  ratio {ratio:.2f}  p99 {statistics.median(each.p99 for each in measured):6.1f} ms"
            f"  longest {max(each.longest for each in measured):6.1f} ms"
        )


if __name__ == "__main__":
    main()
