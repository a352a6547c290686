"""Asks a running server for what costs most, and measures what is left for everybody else.

Each call is asked alone first, for its CPU time and for how long it holds up the event loop; then by twenty clients
who ask for nothing else, while a player reads lists, ranks and pages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import migrate_database
from tests.running import Server, call
from tests.storage.older import make_older_database
from tests.timing import Clients, Request, percentile

HELD_MAX = 0.020  # seconds that a call may hold up the event loop
READ_MAX = 0.050  # seconds, at most, for 99 of 100 reads of others
CLIENTS = 20
COLLECTOR = 7  # a user with a score on every level
ALONE_SECONDS = 2.0
PROBE_INTERVAL = 0.001  # seconds
JSON = "application/json"

# Asks for one path over several connections, without a look at the answers.
LOAD = """
import socket, sys, threading
port, path, clients = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
request = f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\nAccept: application/json\\r\\n\\r\\n".encode()
def ask():
    connection = socket.create_connection(("127.0.0.1", port))
    while True:
        connection.sendall(request)
        head = b""
        while b"\\r\\n\\r\\n" not in head:
            head += connection.recv(65536)
        header, _, body = head.partition(b"\\r\\n\\r\\n")
        left = int(header.lower().split(b"content-length:")[1].split(b"\\r\\n")[0]) - len(body)
        while left:
            left -= len(connection.recv(min(left, 65536)))
for _ in range(clients):
    threading.Thread(target=ask, daemon=True).start()
sys.stdin.read()
"""


class Cost(NamedTuple):
    """What a call takes of a server; seconds."""

    name: str
    cpu: float  # of one call
    held: float  # 99 of 100 probes waited no longer besides, with one client who asks all the time
    reads: float  # 99 of 100 reads of others, with CLIENTS
    writes: float  # 99 of 100 posts of others

    @property
    def is_bounded(self) -> bool:
        return self.held <= HELD_MAX and self.reads <= READ_MAX

    def __str__(self) -> str:
        return (
            f"{self.name:<32} {self.cpu * 1000:8.1f} ms CPU   loop held {self.held * 1000:5.1f} ms  "
            f" reads p99 {self.reads * 1000:6.1f} ms   posts p99 {self.writes * 1000:6.1f} ms"
        )


def make_calls(users: int) -> dict[str, str]:
    """Returns the paths of the costly calls by what they are, where the largest level has players 0 to `users`."""
    some = ",".join(str(user * 997 % users) for user in range(1000))
    return {
        "a page of 1000": "/0/highscorelist?limit=1000",
        "1000 users": f"/0/highscorelist?users={some}",
        "1000 neighbours": f"/0/around/{users // 2}?count=1000",
        "scores on 1000 levels": f"/{COLLECTOR}/scores",
        "scores of a day, of no level": f"/{COLLECTOR}/scores?period=day",
    }


def fill(path: Path, scores: int, levels: int) -> int:
    """Makes a database; a tenth of the scores are on level 0, one user is on all levels. Returns the users of level 0.

    Tables of the first version take them fastest; migrations build the rest.
    """
    largest = scores // 10

    def rows() -> Iterator[tuple[int, int, int, int]]:
        for user in range(largest):
            yield 0, user, user * 618_033_989 % 2_000_000_000, user
        for level in range(1, levels):
            yield level, COLLECTOR, level * 618_033_989 % 1_000_000, level
        for number in range(scores - largest - levels):
            yield 1 + number % (levels - 1), 1000 + number // (levels - 1), number * 618_033_989 % 1_000_000, number

    make_older_database(path, 1, rows())
    migrate_database(Config(database=DatabaseOptions(path=path)))
    return largest


def measure(server: Server, name: str, path: str, users: int, seconds: float) -> Cost:
    cpu, held = _measure_alone(server, path, seconds)
    with (
        _load(server, path),
        Clients(server, 2, PlayerReads(users), pause=0.002) as readers,
        _posting(server) as posters,
    ):
        time.sleep(seconds * 2)
    answers = readers.answers + posters.answers
    assert {answer.status for answer in answers} == {200}
    return Cost(name, cpu, held, percentile(readers.answers, 0.99), percentile(posters.answers, 0.99))


def _measure_alone(server: Server, path: str, seconds: float) -> tuple[float, float]:
    """Returns the CPU time of a call, and by how much a probe of the loop took longer while one client asks."""
    with closing(server.connect()) as connection:
        call(connection, "GET", path)
        before, asked, until = _cpu_of(server), 0, time.monotonic() + seconds
        while time.monotonic() < until:
            connection.request("GET", path, headers={"Accept": JSON})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
            asked += 1
        cpu = (_cpu_of(server) - before) / asked
    quiet = _probe(server, seconds)
    with _load(server, path, clients=1):
        busy = _probe(server, seconds)
    return cpu, max(0.0, busy - quiet)


def _probe(server: Server, seconds: float) -> float:
    """Returns how long 99 of 100 calls took that the loop answers by itself.

    The longest of all says more about other programs: what each call holds up, many probes wait for.
    """
    with Clients(server, 1, lambda number: ("GET", "/health", None), pause=PROBE_INTERVAL) as probes:
        time.sleep(seconds)
    return percentile(probes.answers, 0.99)


def _cpu_of(server: Server) -> float:
    """Returns the CPU seconds that the server's process has taken."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _load(server: Server, path: str, clients: int = CLIENTS) -> Iterator[None]:
    command = [sys.executable, "-c", LOAD, str(server.port), path, str(clients)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        time.sleep(0.3)
        yield
        assert process.poll() is None
        process.communicate()


class PlayerReads:
    """What a player reads."""

    def __init__(self, users: int) -> None:
        self._users = users

    def __call__(self, number: int) -> Request:
        user, level = number * 7919 % self._users, number * 31 % 1000
        paths = (
            f"/{level}/highscorelist",
            f"/0/rank/{user}",
            "/0/highscorelist?limit=20",
            f"/0/around/{user}?count=9",
            f"/{user}/scores?limit=15",
        )
        return "GET", paths[number % len(paths)], None


@contextmanager
def _posting(server: Server) -> Iterator[Clients]:
    _, key = server.call("GET", "/5/login")
    with Clients(
        server, 1, lambda number: ("POST", f"/{number % 1000}/score?sessionkey={key}", str(number)), pause=0.002
    ) as posters:
        yield posters


def run(folder: Path, scores: int, levels: int, seconds: float, names: Sequence[str] = ()) -> Iterator[Cost]:
    """Measures the calls of these names, or all, on a new database."""
    users = fill(folder / "scores.sqlite3", scores, levels)
    with Server(folder) as server:
        for name, path in make_calls(users).items():
            if not names or name in names:
                yield measure(server, name, path, users, seconds)


def main() -> int:
    """Prints what each call costs; returns 1 where one is not bounded."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.costly", description="Ask for what costs most.")
    parser.add_argument("--scores", type=int, default=10_000_000)
    parser.add_argument("--levels", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=ALONE_SECONDS, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        is_bounded = True
        for cost in run(Path(folder), options.scores, options.levels, options.seconds):
            print(cost, flush=True)
            is_bounded = is_bounded and cost.is_bounded
    return 0 if is_bounded else 1


if __name__ == "__main__":
    sys.exit(main())
