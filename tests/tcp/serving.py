"""Servers of scoresvc.tcp on an event loop in a thread of this process, and calls whose answers a test decides."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from scoresvc.api.request import Pending, Request, Response
from scoresvc.config import TcpOptions
from scoresvc.net.connections import Timeouts
from scoresvc.tcp.protocol import TcpServer
from tests.http.conftest import make_loop
from tests.tcp.client import TIMEOUT, Address

T = TypeVar("T")
Call = Callable[[Request], Response | Pending]

NEVER = 60.0  # seconds, longer than any client waits
SHORT = Timeouts(head=0.25, answer=0.25, linger=0.1, sweep=0.02)
PATIENT = Timeouts(head=NEVER, answer=NEVER, linger=NEVER)


class EventLoop:
    """A loop of asyncio or uvloop in a thread of its own; `errors` are those that nobody handled."""

    def __init__(self, name: str) -> None:
        self.errors: list[dict[str, Any]] = []
        self._loop = make_loop(name)
        self._loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever, name="tests-loop")

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, function: Callable[[], T]) -> T:
        """Returns what the function returns, called in the loop."""

        async def call() -> T:
            return function()

        return self.start(call()).result(TIMEOUT)

    def __enter__(self) -> EventLoop:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()


class Server:
    """JSON over TCP, at a free port until the `with` block ends."""

    def __init__(
        self,
        loop: EventLoop,
        call: Call,
        listener: socket.socket | None = None,
        timeouts: Timeouts | None = None,
        **options: Any,
    ) -> None:
        listener = listener or listen()
        self.address: Address = listener.getsockname()
        self._loop = loop
        self._ending: Future[None] | None = None
        self._server = loop.run(lambda: TcpServer(call, TcpOptions(**options), timeouts))
        loop.run(lambda: self._server.start([listener]))

    @property
    def timeouts(self) -> Timeouts:
        return self._server.connections.timeouts

    def begin_shutdown(self, grace: float) -> Future[None]:
        self._ending = self._loop.start(self._server.shut_down(grace))
        return self._ending

    def shut_down(self, grace: float) -> None:
        self.begin_shutdown(grace).result(TIMEOUT)

    def count_connections(self) -> int:
        return self._loop.run(lambda: len(self._server.connections))

    def wait_for_connections(self, count: int) -> None:
        """Waits until exactly so many are open."""
        wait_until(lambda: self.count_connections() == count)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ending is None:
            self.shut_down(grace=0)


class Later:
    """A call whose answers a test gives, in any order; the root is answered at once."""

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[str, Future[Response]]] = queue.Queue()

    def __call__(self, request: Request) -> Response | Pending:
        if request.path == "/":
            return hello(request)
        future: Future[Response] = Future()
        self._calls.put((request.path, future))
        return future

    def take(self, count: int) -> dict[str, Future[Response]]:
        """Waits for so many calls; returns by path what their clients wait for."""
        return dict(self._calls.get(timeout=TIMEOUT) for _ in range(count))


def completed(response: Response) -> Pending:
    """Returns the response as one that is not there at once."""
    future: Future[Response] = Future()
    future.set_result(response)
    return future


def text(body: bytes) -> Response:
    return Response("200 OK", (("Content-Type", "text/plain"),), body)


def hello(request: Request) -> Response:
    return text(b"Hello, World!")


def echo(request: Request) -> Response:
    assert isinstance(request.body, bytes)
    return Response("200 OK", (("Content-Type", request.headers.get("content-type", "")),), request.body)


def listen(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(int(TIMEOUT / 0.002)):
        if condition():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it never came true")
