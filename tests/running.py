"""A server that really runs, on a free port, with clients that load it."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.library import sqlite3

START_WAIT = 20.0  # seconds


class DidNotStart(AssertionError):
    """The server ended before it served, with this status and this in its log."""

    def __init__(self, status: int, log: str) -> None:
        super().__init__(f"the server did not start: {log}")
        self.status = status
        self.log = log


class Server:
    """`python -m scoresvc serve` in a folder of its own; ends with the `with` block."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        command: Sequence[str] = (),
        environ: dict[str, str] | None = None,
        within: Sequence[str] = (),
        processes: int = 1,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.database = folder / "scores.sqlite3"
        self._log_path = folder / "log.txt"
        self._logged_before = len(self.log)
        command = command or (sys.executable, "-m", "scoresvc", "serve", "--port", "0", "--processes", str(processes))
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*within, *command, *flags], cwd=folder, stderr=log, stdout=log, env={**os.environ, **(environ or {})}
            )
        self._port = port
        if port:
            self._wait_until_accepting()
        else:
            self._wait_for(r"(?:serves|Serving on) .*://[\w.]+:(\d+)")

    @property
    def log(self) -> str:
        return self._log_path.read_text() if self._log_path.exists() else ""

    @property
    def port(self) -> int:
        return self._port or int(self._wait_for(r"http://[\w.]+:(\d+)"))

    @property
    def tcp_port(self) -> int:
        return int(self._wait_for(r"tcp://[\w.]+:(\d+)"))

    def _wait_until_accepting(self) -> None:
        """For a server of others, which says in its own words that it has started."""
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        self.kill()
        raise DidNotStart(self.process.returncode, self.log[self._logged_before :])

    def _wait_for(self, pattern: str) -> str:
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until:
            if found := re.search(pattern, self.log[self._logged_before :]):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.kill()
        raise DidNotStart(self.process.returncode, self.log[self._logged_before :])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """One call on a connection of its own; returns status and body."""
        with closing(self.connect()) as connection:
            return call(connection, method, path, body)

    def ask(self, **request: object) -> dict[str, Any]:
        """One request as JSON over TCP; returns the response."""
        with closing(socket.create_connection(("127.0.0.1", self.tcp_port), 15)) as connection:
            connection.sendall(json.dumps(request).encode() + b"\0")
            return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))

    def terminate(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(15)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def call(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read().decode()


def call_url(method: str, url: str, body: str | None = None) -> tuple[int, str]:
    """One call on a connection of its own; returns status and body."""
    address, _, path = url.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(address, timeout=15)) as connection:
        return call(connection, method, f"/{path}", body)


class Posts:
    """Threads that post scores, each to a level of its own, until they are told to stop or the server is gone."""

    def __init__(self, server: Server, threads: int = 4, first_level: int = 0) -> None:
        self._server = server
        self._told_to_stop = threading.Event()
        self.acknowledged: list[tuple[int, int]] = []  # level, score
        self.refused: list[int] = []  # statuses
        self.cut_off: list[Exception] = []
        _, self._key = server.call("GET", "/7/login")
        self._levels = iter(range(first_level, 2**31))
        self._next_level = threading.Lock()
        self._threads = [threading.Thread(target=self._post) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _post(self) -> None:
        with closing(self._server.connect()) as connection:
            while not self._told_to_stop.is_set():
                with self._next_level:
                    level = next(self._levels)
                try:
                    status, _ = call(connection, "POST", f"/{level}/score?sessionkey={self._key}", str(level % 1000))
                except (OSError, http.client.HTTPException) as error:
                    self.cut_off.append(error)
                    return
                if status == 200:
                    self.acknowledged.append((level, level % 1000))
                else:
                    self.refused.append(status)

    def wait_for(self, count: int) -> None:
        """Waits until so many posts are acknowledged."""
        until = time.monotonic() + START_WAIT
        while len(self.acknowledged) < count and any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < until
            time.sleep(0.005)

    def wait_for_refusals(self, count: int) -> None:
        until = time.monotonic() + START_WAIT
        while len(self.refused) < count:
            assert time.monotonic() < until
            time.sleep(0.005)

    def stop(self) -> None:
        self._told_to_stop.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(START_WAIT)


def assert_nothing_lost(database: Path, posts: Posts) -> None:
    """Every acknowledged score is there, the database whole and its ranks right."""
    with closing(sqlite3.connect(database)) as connection:
        kept = set(connection.execute("SELECT level_id, score FROM scores"))
    assert list(find_faults(database)) == []
    assert set(posts.acknowledged) <= kept


def run_on_terminal(*arguments: str) -> str:
    """Returns what a command of scoresvc prints on a terminal."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))  # lines, columns
    command = [sys.executable, "-m", "scoresvc", *arguments]
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner) as process:
        os.close(inner)
        printed = b""
        with suppress(OSError):  # nobody holds the other end any more
            while read := os.read(terminal, 4096):
                printed += read
        process.wait()
    os.close(terminal)
    return printed.decode()
