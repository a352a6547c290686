"""A process with few descriptors serves what it can, loses nobody, and serves all when it has enough again."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scoresvc.net.accepting import Acceptor
from tests.http.conftest import make_loop
from tests.http.serving import Client
from tests.http.test_protocol import get, wait_until

DESCRIPTORS = 64
CLIENTS = 140


class FewDescriptors:
    """A server in a process of its own; see `bare.py`."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        command = (sys.executable, "-m", "tests.http.bare", *arguments)
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
        assert self._process.stdout
        self._port = int(self._process.stdout.readline())

    def connect(self) -> Client:
        return Client(self._port)

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    def __enter__(self) -> FewDescriptors:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def echo(loop_name: str, tmp_path: Path) -> Iterator[FewDescriptors]:
    with FewDescriptors(tmp_path / "log", loop_name, str(DESCRIPTORS)) as server:
        yield server


@pytest.fixture
def service(loop_name: str, tmp_path: Path) -> Iterator[FewDescriptors]:
    with FewDescriptors(tmp_path / "log", loop_name, str(DESCRIPTORS), str(tmp_path)) as server:
        yield server


class FullListener:
    """A listener for which there are no descriptors, while somebody waits on it."""

    def __init__(self) -> None:
        self._waiting, self._client = socket.socketpair()
        self._client.send(b"x")
        self.calls = 0

    def accept(self) -> None:
        self.calls += 1
        raise OSError(errno.EMFILE, "Too many open files")

    def fileno(self) -> int:
        return self._waiting.fileno()

    def setblocking(self, blocking: bool) -> None: ...

    def listen(self, backlog: int) -> None: ...

    def close(self) -> None:
        self._waiting.close()
        self._client.close()


def test_the_loop_does_not_spin_on_a_listener_that_cannot_accept(
    loop_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def accept() -> None:
        acceptor = Acceptor(listener, asyncio.Protocol)  # type: ignore[arg-type]
        while listener.calls < 3:
            turns.append(listener.calls)
            await asyncio.sleep(0)
        acceptor.close()

    listener = FullListener()
    turns: list[int] = []
    loop = make_loop(loop_name)
    loop.run_until_complete(accept())
    loop.close()

    assert len(turns) > 100, "each turn of the loop tried to accept"
    assert [record.getMessage() for record in caplog.records] == [
        "cannot accept connections: Too many open files; they wait"
    ]


def test_without_descriptors_clients_wait_and_none_is_lost(echo: FewDescriptors) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        clients = [stack.enter_context(echo.connect()) for _ in range(CLIENTS)]
        for client in clients:
            client.send(b"x")
        wait_until(lambda: bool(echo.log))

        for client in clients:
            assert client.socket.recv(1) == b"x"
            client.socket.close()  # which makes room for one that waits

    assert set(echo.log) == {"ERROR cannot accept connections: Too many open files; they wait"}
    assert len(echo.log) <= lines_since(began)


def test_the_service_keeps_descriptors_for_its_database(service: FewDescriptors) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        first = stack.enter_context(service.connect())
        others = [stack.enter_context(service.connect()) for _ in range(CLIENTS)]

        statuses = [response.status for response in others[-1].read_all()]
        first.send(get("/4711/login"))

        assert (first.read().status, statuses) == (200, [503])
    with service.connect() as good:
        good.send(get("/4711/login"))
        assert good.read().status == 200
    assert len(service.log) <= lines_since(began)  # a burst may be ahead of the count


def lines_since(began: float) -> int:
    """Returns how many lines the log may have: one a second, and those at the two ends."""
    return int(time.monotonic() - began) + 2
