"""Cuts the power of a server, in a model of its disk.

strace records what a server under load asks of the system: writes, syncs, names made and removed, and each "200"
that it sends. From that, the files are rebuilt as they could be on disk at any point, see `tests.drills.disk`. A score
is acknowledged as soon as the server begins to send its 200.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scoresvc.storage.sqlite.library import sqlite3
from tests.drills.disk import DATABASE, FILES, Disk
from tests.drills.trace import RECEIVING, SENDING, STRACE, Call, read_calls
from tests.running import Server

CLIENTS = 6
LEVELS = 2000
TRACE_TIMEOUT = 20.0  # seconds for strace to write its last line

# A recording is short, and should have several checkpoints in it.
SERVE_WITH_CHECKPOINTS = """
import sys
from scoresvc import cli
from scoresvc.storage.sqlite import connections
connections.OPENING += ("PRAGMA wal_autocheckpoint = 200",)
sys.exit(cli.main())
"""

SCORE_POST = re.compile(rb"POST /(\d+)/score\?sessionkey=(\w+) .*\r\n\r\n(\d+)$", re.DOTALL)


class Acknowledged:
    """The best score of each user on each level for which a 200 was sent."""

    def __init__(self, users: dict[str, int]) -> None:
        self._users = users  # by session key
        self._requests: dict[str, bytes] = {}  # by socket
        self.best: dict[tuple[int, int], int] = {}  # by level and user
        self.count = 0

    def begin(self, call: Call) -> None:
        if call.name not in SENDING or not call.target.startswith("socket:"):
            return
        request = self._requests.pop(call.target, b"")
        post = SCORE_POST.match(request)
        if post and call.data.startswith(b"HTTP/1.1 200"):
            place = int(post[1]), self._users[post[2].decode()]
            self.best[place] = max(int(post[3]), self.best.get(place, 0))
            self.count += 1

    def end(self, call: Call) -> None:
        if call.name in RECEIVING and call.result and call.result > 0 and call.target.startswith("socket:"):
            self._requests[call.target] = self._requests.get(call.target, b"") + call.data


class Recording(NamedTuple):
    folder: Path  # of the database
    calls: list[Call]
    users: dict[str, int]  # by session key
    acknowledged: int  # as the clients counted


class CutOutcome(NamedTuple):
    cuts: int
    acknowledged: int
    unsynced: int  # cuts with writes that were not synced
    losing: int  # cuts after which an acknowledged score was missing
    lost: int  # scores, at the worst of them
    corrupt: int  # cuts after which the database was not whole
    checkpoints: int

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts, {self.unsynced} with unsynced writes, in {self.acknowledged} acknowledged scores and"
            f" {self.checkpoints} syncs of the database file: {self.losing} lost scores ({self.lost} at the worst),"
            f" {self.corrupt} left the database corrupt"
        )


def record(folder: Path, posts: int, durability: str, flags: Sequence[str] = ()) -> Recording:
    """Runs a server in an empty folder until so many posts are acknowledged, kills it, returns its system calls."""
    (folder / "config.ini").write_text(f"[database]\ndurability = {durability}\n")
    trace = folder / "trace"
    command = (sys.executable, "-c", SERVE_WITH_CHECKPOINTS, "serve", "--port", "0")
    with Server(folder, *flags, command=command, within=(*STRACE, str(trace))) as server:
        clients = [PostingClient(server, user) for user in range(CLIENTS)]
        threads = [threading.Thread(target=client.post, args=(posts // CLIENTS,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        process = str(server.process.pid)
        server.kill()
    _wait_for_end(trace, process)
    users = {client.key: client.user for client in clients}
    return Recording(folder, read_calls(trace), users, sum(client.acknowledged for client in clients))


class PostingClient:
    """Posts random scores, each request in one segment, so that it is one call of the trace."""

    def __init__(self, server: Server, user: int) -> None:
        self.user = user
        self.acknowledged = 0
        self._port = server.port
        _, self.key = server.call("GET", f"/{user}/login")

    def post(self, count: int) -> None:
        chance = random.Random(self.user)
        with closing(socket.create_connection(("127.0.0.1", self._port), 15)) as connection:
            for _ in range(count):
                score = str(chance.randrange(2**31))
                head = f"POST /{chance.randrange(LEVELS)}/score?sessionkey={self.key} HTTP/1.1\r\nHost: x\r\n"
                connection.sendall(f"{head}Content-Length: {len(score)}\r\n\r\n{score}".encode())
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
                self.acknowledged += response.status == 200


def _wait_for_end(trace: Path, process: str) -> None:
    until = time.monotonic() + TRACE_TIMEOUT
    end = re.compile(rf"^{process} +\+\+\+ .*\+\+\+$", re.MULTILINE)
    while not end.search(trace.read_bytes()[-4000:].decode()):
        assert time.monotonic() < until, "strace does not end"
        time.sleep(0.05)


def cut_power(recording: Recording, cuts: int, seed: int, work: Path) -> CutOutcome:
    """Cuts the power at so many points of a recording and looks at what is left, in the folder `work`."""
    chance = random.Random(seed)
    moments = sorted(
        [(call.began, 0, call) for call in recording.calls] + [(call.ended, 1, call) for call in recording.calls]
    )
    points = {chance.randrange(len(moments)) for _ in range(cuts)}
    disk, acknowledged = Disk(recording.folder), Acknowledged(recording.users)
    unsynced = losing = lost = corrupt = 0
    for number, (_, ending, call) in enumerate(moments):
        for side in (disk, acknowledged):
            (side.end if ending else side.begin)(call)
        if number not in points:
            continue
        unsynced += disk.has_unsynced_writes()
        missing = _look(disk.after_cut(chance), acknowledged.best, work)
        corrupt += missing is None
        losing += bool(missing)
        lost = max(lost, missing or 0)
    assert acknowledged.count == recording.acknowledged, "the trace has other responses than the clients"
    return CutOutcome(len(points), acknowledged.count, unsynced, losing, lost, corrupt, disk.checkpoints)


def _look(files: dict[str, bytes], acknowledged: dict[tuple[int, int], int], work: Path) -> int | None:
    """Returns how many acknowledged scores are missing; None where the database is corrupt."""
    for name in (*FILES, f"{DATABASE}-shm"):
        (work / name).unlink(missing_ok=True)
    for name, content in files.items():
        (work / name).write_bytes(content)
    with closing(sqlite3.connect(work / DATABASE)) as connection:
        try:
            connection.execute("PRAGMA synchronous = OFF")
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return None
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'scores'").fetchall()
            rows = connection.execute("SELECT level_id, user_id, score FROM scores").fetchall() if tables else []
        except sqlite3.DatabaseError:
            return None
    kept: dict[tuple[int, int], int] = {(level, user): score for level, user, score in rows}
    return sum(kept.get(place, -1) < score for place, score in acknowledged.items())


def main() -> int:
    """Prints the outcome for both durabilities; returns 1 where a promise is broken or the model finds no loss."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.powercut", description="Cut the power of a server.")
    parser.add_argument("--cuts", type=int, default=2000, help="cut points of each recording")
    parser.add_argument("--posts", type=int, default=4000, help="acknowledged posts of each recording")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="for scoresvc serve, after a --")
    options = parser.parse_args()
    outcomes = {}
    for durability in ("full", "process"):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as work:
            recording = record(Path(folder).resolve(), options.posts, durability, options.flags)
            outcomes[durability] = cut_power(recording, options.cuts, options.seed, Path(work))
        print(f"durability = {durability}: {outcomes[durability]}", flush=True)
    full, process = outcomes["full"], outcomes["process"]
    return 1 if full.losing or full.corrupt or process.corrupt or not process.losing else 0


if __name__ == "__main__":
    sys.exit(main())
