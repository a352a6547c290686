"""Kills a server under load, many times, then looks for the scores that it had acknowledged."""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import START_WAIT, Server, call

USERS = {"http": range(4), "tcp": range(4, 8)}  # a client for each user
RESTARTED_WITHIN = 1.0  # seconds, at the median
SECONDS_MAX = 600.0  # for all kills

chance = random.Random(0)


class Score(NamedTuple):
    level: int
    user: int
    score: int


def post_over_http(server: Server, key: str, scores: Scores) -> None:
    with closing(server.connect()) as connection:
        for score in scores.new():
            status, _ = call(connection, "POST", f"/{score.level}/score?sessionkey={key}", str(score.score))
            scores.note(score, status)


def post_over_tcp(server: Server, key: str, scores: Scores) -> None:
    port = server.tcp_port
    for score in scores.new():
        request = {"method": "POST", "path": f"/{score.level}/score?sessionkey={key}", "data": score.score}
        with closing(socket.create_connection(("127.0.0.1", port), 15)) as connection:
            connection.sendall(json.dumps(request).encode() + b"\0")
            response = b"".join(iter(lambda: connection.recv(4096), b""))
        scores.note(score, json.loads(response)["code"])


TRANSPORTS: dict[str, Callable[[Server, str, Scores], None]] = {"http": post_over_http, "tcp": post_over_tcp}


class Scores:
    """The scores of one client: each for a new level, so that each can be looked for."""

    def __init__(self, user: int, first_level: int) -> None:
        self._user = user
        self._level = first_level
        self.acknowledged: list[Score] = []
        self.refused: list[int] = []  # statuses

    def new(self) -> Iterator[Score]:
        while True:
            yield Score(self._level, self._user, self._level % 1000)
            self._level += 1

    def note(self, score: Score, status: int) -> None:
        if status == 200:
            self.acknowledged.append(score)
        else:
            self.refused.append(status)


class KillOutcome(NamedTuple):
    kills: int
    acknowledged: dict[str, int]  # by transport
    refused: int
    lost: int
    restarts: list[float]  # seconds from the start of a process to its first answer

    def __str__(self) -> str:
        transports = ", ".join(f"{count} over {transport}" for transport, count in self.acknowledged.items())
        return (
            f"{self.kills} kills: {sum(self.acknowledged.values())} scores acknowledged ({transports}),"
            f" {self.lost} lost, {self.refused} refused; restarted in {statistics.median(self.restarts):.2f} s"
            f" (median), {max(self.restarts):.2f} s at most"
        )


def kill_repeatedly(
    folder: Path, kills: int, acknowledged_min: int, transports: Sequence[str], processes: int = 1
) -> KillOutcome:
    """Starts a server, loads it over each transport, kills it, `kills` times, for at least so many scores in all.

    Raises AssertionError where the database has a fault after a kill, or a server does not get to its share in time.
    """
    scores: dict[str, list[Score]] = {transport: [] for transport in transports}
    refused, restarts = 0, []
    until = time.monotonic() + SECONDS_MAX
    for kill in range(kills):
        missing = acknowledged_min - sum(map(len, scores.values()))
        started = time.monotonic()
        with Server(folder, "--tcp-port", "0", processes=processes) as server:
            assert server.call("GET", "/")[0] == 200
            restarts.append(time.monotonic() - started)
            clients = _kill_under_load(server, transports, kill, max(10, missing // (kills - kill)), until)
        for transport, own in clients:
            scores[transport] += own.acknowledged
            refused += len(own.refused)
        assert list(find_faults(server.database)) == []
    lost = {score for group in scores.values() for score in group} - _read_scores(server.database)
    return KillOutcome(kills, {name: len(group) for name, group in scores.items()}, refused, len(lost), restarts)


def _kill_under_load(
    server: Server, transports: Sequence[str], kill: int, acknowledged_min: int, until: float
) -> list[tuple[str, Scores]]:
    """Returns the scores of each client with its transport."""
    clients = [
        (transport, _start_client(server, transport, user, first_level=kill * 10**6))
        for transport in transports
        for user in USERS[transport]
    ]
    while sum(len(own.acknowledged) for _, (_, own) in clients) < acknowledged_min:
        assert time.monotonic() < until, "too slow"
        time.sleep(0.001)
    time.sleep(chance.random() * 0.01)  # so that the kill may hit any moment of a commit
    server.kill()
    for _, (thread, _) in clients:
        thread.join(START_WAIT)
    return [(transport, own) for transport, (_, own) in clients]


def _start_client(server: Server, transport: str, user: int, first_level: int) -> tuple[threading.Thread, Scores]:
    _, key = server.call("GET", f"/{user}/login")
    scores = Scores(user, first_level)
    thread = threading.Thread(target=_post_until_killed, args=(TRANSPORTS[transport], server, key, scores))
    thread.start()
    return thread, scores


def _post_until_killed(post: Callable[[Server, str, Scores], None], server: Server, key: str, scores: Scores) -> None:
    try:
        post(server, key, scores)
    except (OSError, http.client.HTTPException, ValueError):
        return  # no answer, or half of one


def _read_scores(database: Path) -> set[Score]:
    with closing(sqlite3.connect(database)) as connection:
        return {Score(*row) for row in connection.execute("SELECT level_id, user_id, score FROM scores")}


def main() -> int:
    """Prints the outcome; returns 1 where a score is lost or the restarts are slow."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.killing", description="Kill a server under load.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--acknowledged", type=int, default=20_000, help="scores, at least, in all")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_repeatedly(
            Path(folder), options.kills, options.acknowledged, list(TRANSPORTS), options.processes
        )
    print(outcome)
    return 1 if outcome.lost or statistics.median(outcome.restarts) > RESTARTED_WITHIN else 0


if __name__ == "__main__":
    sys.exit(main())
