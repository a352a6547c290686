"""Whatever bytes come, and however they are cut: no bug, no leak, and the same answers."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.http.server import HttpServer
from tests.http.applications import DecidedApi
from tests.http.transport import MemoryTransport
from tests.http.vectors import SIZES, VECTORS

EXAMPLES = 200
CASES_AN_EXAMPLE = 100  # 20,000 in all

# 501 and 505 say what a request asked for that there is not; any other 5xx would be our fault.
STATUSES = {100, 200, 400, 408, 413, 414, 417, 431, 501, 505}

REQUESTS = [vector.request for vector in VECTORS if vector not in SIZES and len(vector.request) < 2000]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"GET / HTTP/1.1\r\n",
    b"Host: a\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"HTTP/1.0", b"\xff", b"x" * 1000,
]  # fmt: skip


@pytest.fixture(scope="module")
def http_server() -> Iterator[HttpServer]:
    async def make() -> HttpServer:
        return HttpServer(DecidedApi(), threads=1)  # type: ignore[arg-type]

    loop = asyncio.new_event_loop()
    yield loop.run_until_complete(make())
    loop.close()


class Log(logging.Handler):
    """Fails at whatever is logged as an error."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(self.format(record))


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(seed=st.integers(0, 2**64))
def test_random_bytes_stop_nothing_and_leak_nothing(http_server: HttpServer, seed: int) -> None:
    chance = random.Random(seed)

    for _ in range(CASES_AN_EXAMPLE):
        data = make_input(chance)
        whole = answer(http_server, [data])
        cut = answer(http_server, cut_at_random(chance, data))

        assert whole == cut, data
        assert set(whole) <= STATUSES, data
    assert len(http_server.connections) == 0


def answer(http_server: HttpServer, segments: list[bytes]) -> list[int]:
    """Returns the statuses of all answers to what comes in these segments."""
    transport = MemoryTransport(http_server.make_connection())
    for segment in segments:
        transport.feed(segment)
    transport.end()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", bytes(transport.written))]


def make_input(chance: random.Random) -> bytes:
    """Returns a few requests, most of them spoilt, or nothing like one."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(200))
    return b"".join(spoil(chance, chance.choice(REQUESTS)) for _ in range(chance.randrange(1, 4)))


def spoil(chance: random.Random, request: bytes) -> bytes:
    for _ in range(chance.randrange(3)):
        start = chance.randrange(len(request) + 1)
        end = min(len(request), start + chance.choice((0, 0, 0, 1, 5)))
        piece = chance.choice(PIECES) if chance.random() < 0.7 else chance.randbytes(1)
        request = request[:start] + piece + request[end:]
    return request


def cut_at_random(chance: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
