"""A server of scoresvc.http in a thread of this process, and clients on sockets of their own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from scoresvc.api.dispatch import Api
from scoresvc.http.server import HttpServer
from scoresvc.net.connections import Timeouts

WAIT = 10.0  # seconds for what should come at once

# With deadlines this short a test of them is over soon, and still nothing that is sent at once comes too late.
SHORT = Timeouts(head=0.25, body=0.25, answer=0.25, idle=0.5, linger=0.1, sweep=0.02)


class Response(NamedTuple):
    status: int
    headers: dict[str, str]  # by lower-case name
    body: bytes


class RunningServer:
    """Serves `api` until the `with` block ends; `make_loop` chooses asyncio or uvloop."""

    def __init__(
        self, api: Api, make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop, **options: Any
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.loop = make_loop()
        self._options = {"threads": 2, **options}
        self._api = api
        self._has_started = threading.Event()
        self._stop: asyncio.Event
        self.grace = 0.0  # seconds
        self.server: HttpServer
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.server = HttpServer(self._api, **self._options)
        self.server.start([self._listener])
        self._has_started.set()
        await self._stop.wait()
        await self.server.shut_down(self.grace)
        self.server.close()

    def connect(self) -> Client:
        return Client(self.port)

    def ask(self, request: bytes) -> list[Response]:
        """Sends all of this on a connection of its own; returns all responses until the server closes it."""
        with self.connect() as client:
            client.send(request)
            return client.read_all()

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls this in the loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(WAIT)

    def wait_for_connections(self, count: int) -> None:
        """Waits until exactly so many are open."""
        for _ in range(int(WAIT / 0.005)):
            if self.call(lambda: len(self.server.connections)) == count:
                return
            threading.Event().wait(0.005)
        raise AssertionError(f"{self.call(lambda: len(self.server.connections))} connections, not {count}")

    def begin_shutdown(self, grace: float) -> None:
        self.grace = grace
        self.loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def __enter__(self) -> RunningServer:
        self._thread.start()
        assert self._has_started.wait(WAIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.begin_shutdown(self.grace)
        self.join()


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_slowly(self, data: bytes) -> None:
        """Sends each byte in a segment of its own, as far as the server still takes them."""
        try:
            for number in range(len(data)):
                self.socket.send(data[number : number + 1])
        except OSError:
            return

    def end(self) -> None:
        """Shuts down the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, is_head: bool = False) -> Response:
        """Returns the next response."""
        while (response := self._take(is_head)) is None:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(self._received)
            self._received += data
        return response

    def read_all(self, is_head: bool = False) -> list[Response]:
        """Returns all responses until the server shuts down its side; `is_head`: whether the first has no body."""
        while data := self.socket.recv(65536):
            self._received += data
        responses = []
        while self._received:
            response = self._take(is_head)
            assert response is not None, self._received
            responses.append(response)
            is_head = is_head and response.status == 100
        return responses

    def _take(self, is_head: bool) -> Response | None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        status_line, *lines = bytes(head).decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(headers) == len(lines), "a header comes twice"
        length = 0 if is_head else int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._received = rest[length:]
        return Response(int(status), headers, bytes(rest[:length]))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()
