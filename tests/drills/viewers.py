"""Has thousands of people look at one board while players post to it, each post a new best.

A viewer does what the page does: asks for events on the connection that it has, again two seconds after each answer.
Rounds with viewers and without take turns.
"""

from __future__ import annotations

import argparse
import heapq
import os
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.running import Server
from tests.timing import Clients, Request, percentile

VIEWERS = 2000
INTERVAL = 2.0  # seconds, the `retry` of the events
RATIO_MAX = 1.3  # of the time of a post, 99 of 100, with viewers to that without
POSTERS = 4
POST_PAUSE = 0.01  # seconds
LEVEL = 2

_ID = re.compile(rb"id: (\S+)")
_LENGTH = re.compile(rb"Content-Length: (\d+)")


class Round(NamedTuple):
    posts: float  # seconds, 99 of 100 posts
    rate: float  # posts a second
    events: int  # answers to viewers that had a board
    asked: int  # questions of viewers


class Viewer:
    """One connection; `ask` sends the next question, `read` takes what has come, and returns when to ask again."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.last_id = b"none"
        self._answer = b""
        self.asked = self.events = 0

    def ask(self) -> None:
        request = b"GET /%d/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: %b\r\n\r\n" % (LEVEL, self.last_id)
        self.asked += 1
        self._answer = b""
        self.socket.sendall(request)

    def read(self) -> float | None:
        self._answer += self.socket.recv(65536)
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return None
        assert head.startswith(b"HTTP/1.1 200"), head
        found = _ID.search(body)
        assert found, body
        self.last_id = found[1]
        self.events += b"data: " in body
        return time.monotonic() + INTERVAL


def watch(port: int, count: int) -> None:
    """Is so many viewers until its input ends; then prints how often they asked, and got a board."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    viewers = [Viewer(port) for _ in range(count)]
    print("connected", flush=True)
    os.nice(19)  # real viewers take nothing of this machine
    now = time.monotonic()
    waiting = [(now + INTERVAL * number / count, number) for number in range(count)]  # a heap
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for number, viewer in enumerate(viewers):
            selector.register(viewer.socket, selectors.EVENT_READ, number)
        while True:
            for key, _ in selector.select(0.002):
                if key.data is None:
                    print(sum(each.asked for each in viewers), sum(each.events for each in viewers), flush=True)
                    return
                due = viewers[key.data].read()
                if due is not None:
                    heapq.heappush(waiting, (due, key.data))
            while waiting and waiting[0][0] <= time.monotonic():
                viewers[heapq.heappop(waiting)[1]].ask()


@contextmanager
def _watching(server: Server, count: int) -> Iterator[list[int]]:
    """Viewers while the block runs; then the list has how often they asked and got a board."""
    counted: list[int] = []
    command = (sys.executable, "-m", "tests.drills.viewers", "--watch", str(server.port), "--viewers", str(count))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "connected\n"
        yield counted
        process.stdin.close()
        counted += map(int, process.stdout.read().split())


def measure(server: Server, key: str, viewers: int, seconds: float, first_score: int) -> Round:
    def post(number: int) -> Request:
        return "POST", f"/{LEVEL}/score?sessionkey={key}", str(first_score + number)

    def run() -> list[float]:
        with Clients(server, POSTERS, post, POST_PAUSE) as posters:
            time.sleep(seconds)
        assert {answer.status for answer in posters.answers} == {200}
        return [percentile(posters.answers, 0.99), len(posters.answers) / seconds]

    if not viewers:
        return Round(*run(), events=0, asked=0)
    with _watching(server, viewers) as counted:
        time.sleep(min(INTERVAL, seconds))  # until all have the board
        posts, rate = run()
    asked, events = counted
    return Round(posts, rate, events, asked)


def drill(server: Server, viewers: int, seconds: float, rounds: int) -> tuple[list[Round], list[Round]]:
    """Returns the rounds without viewers, and those with them."""
    _, key = server.call("GET", "/7/login")
    for user in range(20):
        server.call("POST", f"/{LEVEL}/score?sessionkey={server.call('GET', f'/{user}/login')[1]}", str(user))
    quiet, watched = [], []
    for number in range(rounds):
        quiet.append(measure(server, key, 0, seconds, number * 2_000_000))
        watched.append(measure(server, key, viewers, seconds, number * 2_000_000 + 1_000_000))
    return quiet, watched


def main() -> int:
    """Prints what posts take with viewers and without; returns 1 where viewers cost too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.viewers", description="Look at a board in thousands.")
    parser.add_argument("--viewers", type=int, default=VIEWERS)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--watch", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        watch(options.watch, options.viewers)
        return 0
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        rounds = drill(server, options.viewers, options.seconds, options.rounds)
    medians = [statistics.median(each.posts for each in kind) for kind in rounds]
    for name, kind, median in zip(("without viewers", f"with {options.viewers}"), rounds, medians, strict=True):
        rate = statistics.median(each.rate for each in kind)
        print(f"{name:<20} posts p99 {median * 1000:5.1f} ms at {rate:.0f} a second: ", end="")
        print(", ".join(f"{each.posts * 1000:.1f}" for each in kind))
    print(f"the viewers asked {rounds[1][0].asked} times in the first round, and got {rounds[1][0].events} boards")
    ratio = medians[1] / medians[0]
    print(f"{ratio:.2f} times")
    return 0 if ratio <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
