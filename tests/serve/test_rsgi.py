from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from scoresvc.api.dispatch import Api
from scoresvc.api.request import Response
from scoresvc.config import Config
from scoresvc.serve.rsgi import CompletionNotifier, RsgiApplication
from scoresvc.storage import open_store

Body = Callable[[], bytes]


class Headers(dict[str, str]):
    """The headers of RSGI, each with one value."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]]


class Scope(NamedTuple):
    """The part of RSGI's scope that is read."""

    method: str
    path: str
    query_string: str
    headers: Headers
    client: str = "127.0.0.1:50000"


class RsgiProtocol:
    """RSGI's protocol of one request, whose body is that which `body` returns or raises."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.is_body_read = False
        self.response: tuple[int, bytes]

    async def __call__(self) -> bytes:
        self.is_body_read = True
        return self._body()

    def response_bytes(self, status: int, headers: Any, body: bytes) -> None:
        self.response = status, body


Ask = Callable[..., RsgiProtocol]


@pytest.fixture
def ask(settings: Config) -> Iterator[Ask]:
    """Makes a request; returns the protocol with its response."""
    with closing(open_store(settings)) as store:
        application = RsgiApplication(Api(store), threads=1)

        def ask(method: str, path: str, query: str = "", headers: Mapping[str, str] = {}, body: Body = bytes) -> Any:
            async def run() -> RsgiProtocol:
                application.__rsgi_init__(asyncio.get_running_loop())
                protocol = RsgiProtocol(body)
                await application.__rsgi__(Scope(method, path, query, Headers(headers)), protocol)
                return protocol

            return asyncio.run(run())

        yield ask


def break_off() -> bytes:
    raise RuntimeError


@pytest.mark.parametrize("body", [lambda: b"15", break_off])
def test_a_body_that_does_not_arrive_whole_is_refused(ask: Ask, body: Body) -> None:
    protocol = ask("POST", "/2/score", headers={"content-length": "4"}, body=body)

    status, text = protocol.response
    assert status == 400
    assert text.startswith(b"the body did not arrive whole")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/2/score", {"content-length": "x"}, 400),
        ("/2/score", {"content-length": "4", "transfer-encoding": "chunked"}, 400),
        ("/2/score", {"content-length": "0"}, 400),
        ("/2/score", {}, 400),
        ("/2/score", {"content-length": "1025"}, 413),
        ("/2/score", {"content-length": "9" * 5000}, 413),
        ("/nothing", {"content-length": "4"}, 404),
        ("/2/highscorelist", {"content-length": "4"}, 405),
    ],
)
def test_a_request_that_cannot_succeed_is_answered_without_reading_its_body(
    ask: Ask, path: str, headers: dict[str, str], status: int
) -> None:
    protocol = ask("POST", path, headers=headers, body=lambda: b"1500")

    assert protocol.response[0] == status
    assert not protocol.is_body_read


def test_a_body_as_long_as_its_header_says_is_read(ask: Ask) -> None:
    protocol = ask("POST", "/2/score", headers={"content-length": "4"}, body=lambda: b"1500")

    assert protocol.response[0] == 401  # what is missing now is a session
    assert protocol.is_body_read


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [("/", "", 0), ("/2/highscorelist", "", 0), ("/2/highscorelist", "limit=1", 1), ("/7/scores", "", 1)],
)
def test_a_read_whose_length_depends_on_the_request_runs_in_a_thread(
    ask: Ask, path: str, query: str, count: int
) -> None:
    before = set(threading.enumerate())

    protocol = ask("GET", path, query)

    started = [each.name for each in threading.enumerate() if each not in before]
    assert protocol.response[0] == 200
    assert len([name for name in started if name.startswith("scoresvc-reader")]) == count


def test_a_write_is_answered_when_it_is_committed(ask: Ask) -> None:
    status, key = ask("GET", "/7/login").response

    assert status == 200
    assert len(key) == 32
    bearer = {"content-length": "4", "authorization": f"Bearer {key.decode()}"}
    assert ask("POST", "/2/score", headers=bearer, body=lambda: b"1500").response == (200, b"")
    assert ask("GET", "/2/highscorelist").response == (200, b"7=1500")


def test_writes_that_complete_together_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[Future[Response]] = [Future() for _ in range(3)]
    wakeups = []

    async def complete_all() -> None:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def count_and_wake(callback: Callable[[], object]) -> asyncio.Handle:
            wakeups.append(callback)
            return wake(callback)

        monkeypatch.setattr(loop, "call_soon_threadsafe", count_and_wake)
        notifier = CompletionNotifier(loop)
        futures = [notifier.wait_for(write) for write in writes]
        for write in writes:
            write.set_result(Response("200 OK", (), b""))
        await asyncio.wait_for(asyncio.gather(*futures), 5)

    asyncio.run(complete_all())

    assert len(wakeups) == 1
