"""Clients that are slow cost their own connections, and no more memory than a connection takes."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc.http.server import HttpServer
from scoresvc.net.connections import Timeouts
from tests.http.applications import DecidedApi
from tests.http.conftest import make_loop
from tests.http.serving import SHORT, Client, RunningServer
from tests.http.test_protocol import get, post, wait_until
from tests.http.transport import MemoryTransport

GOOD_CLIENT_WAIT = 1.0  # seconds
DRIP_INTERVAL = 0.01  # seconds, so that a deadline passes long before the bytes are at their end
CONNECTION_BYTES_MAX = 8 * 1024  # of memory

SENDING_WAIT = 0.2  # seconds in which a server that reads would have made room
SENT_MAX = 16 * 2**20  # bytes, more than the buffers of two sockets
LONG = Timeouts(head=60, body=60, answer=60, idle=60, linger=60, sweep=0.02)

HALF_LINE = b"GET /now HT"
HALF_HEAD = b"GET /now HTTP/1.1\r\nHost: a\r\n"


NEVER_READ = get("/large") * 10


class Drip(threading.Thread):
    """Sends a byte every now and then, until the server has closed."""

    def __init__(self, client: Client, data: bytes) -> None:
        super().__init__()
        self._client = client
        self._data = itertools.cycle(data)
        self.start()

    def run(self) -> None:
        self._client.socket.settimeout(DRIP_INTERVAL)
        with suppress(OSError):
            while not self._has_ended():
                self._client.send(bytes([next(self._data)]))

    def _has_ended(self) -> bool:
        try:
            return not self._client.socket.recv(65536)
        except TimeoutError:
            return False


HALF_CHUNK = b"POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n15"

# What they send, and the statuses of all that they are answered.
SLOW_CLIENTS: dict[str, tuple[bytes, list[int]]] = {
    "silent": (b"", []),
    "half a request line": (HALF_LINE, [408]),
    "half a header": (HALF_HEAD, [408]),
    "half a body": (post("/now", "1500")[:-1], [408]),
    "half a body that nobody reads": (post("/nothing", "1500")[:-1], [200]),
    "half a chunk": (HALF_CHUNK, [408]),
    "a 100 that is not used": (post("/now", "1500", "Expect: 100-continue\r\n")[:-4], [100, 408]),
    "empty lines": (b"\r\n\r\n", []),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
    "TLS": (b"\x16\x03\x01\x02\x00", [400]),
    "idle": (get("/now"), [200]),
    "half a second request": (get("/now") + HALF_LINE, [200, 408]),
}

DRIPPED = (b"GET /" + b"x" * 9000, HALF_HEAD + b"X: y\r\n" * 90, post("/now", "1" * 1000), HALF_CHUNK, b"\r\n")


def test_slow_clients_are_answered_and_closed_when_their_time_is_over(short: RunningServer) -> None:
    with ExitStack() as stack:
        clients = {name: stack.enter_context(short.connect()) for name in SLOW_CLIENTS}
        for name, (data, _) in SLOW_CLIENTS.items():
            clients[name].send(data)

        answers = {name: [response.status for response in client.read_all()] for name, client in clients.items()}

    assert answers == {name: statuses for name, (_, statuses) in SLOW_CLIENTS.items()}


def test_slow_clients_of_every_kind_at_once_leave_a_good_one_alone(short: RunningServer) -> None:
    with ExitStack() as stack:
        for data, _ in SLOW_CLIENTS.values():
            stack.enter_context(short.connect()).send(data)
        stack.enter_context(short.connect()).send(NEVER_READ)
        drips = [Drip(stack.enter_context(short.connect()), data) for data in DRIPPED]

        for _ in range(10):
            with short.connect() as good:
                good.socket.settimeout(GOOD_CLIENT_WAIT)
                good.send(get("/now"))
                assert good.read().status == 200

        for each in drips:  # whose bytes win them no time
            each.join()
        short.wait_for_connections(0)


# What a client sends that then waits so; at the end of each wait there is the last, which is short, too.
WAITS = {
    "head": get("/now") + HALF_LINE,
    "body": post("/now", "1500")[:-1],
    "answer": NEVER_READ,
    "idle": get("/now"),
    "linger": b"bad\r\n\r\n",
}


@pytest.mark.parametrize("wait", WAITS)
def test_each_wait_has_its_own_deadline(wait: str) -> None:
    timeouts = replace(LONG, **{"linger": 0.1, wait: 0.1})
    with RunningServer(DecidedApi(), timeouts=timeouts) as server, server.connect() as client:  # type: ignore[arg-type]
        server.wait_for_connections(1)
        client.send(WAITS[wait])

        server.wait_for_connections(0)


def test_a_client_that_never_reads_costs_its_connection_and_no_memory(loop_name: str) -> None:
    api = DecidedApi()
    with (
        RunningServer(api, lambda: make_loop(loop_name), timeouts=SHORT) as server,  # type: ignore[arg-type]
        server.connect() as client,
    ):
        client.send(NEVER_READ)
        wait_until(lambda: api.calls > 0)

        server.wait_for_connections(0)

    assert api.calls == 1, "the second answer was made before the first was read"


def test_no_byte_of_an_answer_waits_without_a_deadline() -> None:
    async def connect() -> MemoryTransport:
        return MemoryTransport(HttpServer(DecidedApi(), threads=1).make_connection())  # type: ignore[arg-type]

    assert asyncio.run(connect()).write_buffer_limit == 0


def test_a_client_that_sends_without_end_fills_its_socket_and_not_our_memory(loop_name: str) -> None:
    api = DecidedApi()
    with (
        RunningServer(api, lambda: make_loop(loop_name)) as server,  # type: ignore[arg-type]
        server.connect() as client,
    ):
        client.send(get("/later"))
        wait_until(lambda: bool(api.waiting))
        client.socket.settimeout(SENDING_WAIT)

        with pytest.raises(TimeoutError):
            send_piecewise(client, SENT_MAX)


def test_two_thousand_silent_connections_are_cheap_and_keep_nobody_out(loop_name: str) -> None:
    with (
        RunningServer(DecidedApi(), lambda: make_loop(loop_name)) as server,  # type: ignore[arg-type]
        ExitStack() as stack,
    ):
        before = memory()
        for number in range(2000):
            client = stack.enter_context(server.connect())
            if number % 4:
                client.send(HALF_HEAD)
        server.wait_for_connections(2000)

        with server.connect() as good:
            good.socket.settimeout(GOOD_CLIENT_WAIT)
            good.send(get("/now"))
            assert good.read().status == 200
        assert memory() - before < 2000 * CONNECTION_BYTES_MAX


def send_piecewise(client: Client, count: int) -> None:
    """Sends so many bytes; the timeout holds for each piece."""
    for _ in range(count // 65536):
        client.socket.send(b"x" * 65536)


def memory() -> int:
    """Returns the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
