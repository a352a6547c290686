"""The application behind RSGI, granian's own interface: one event loop takes all requests of a process."""

from __future__ import annotations

import asyncio
import io
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from scoresvc.errors import Refusal
from scoresvc.request import Environ, body_length
from scoresvc.serve import REQUEST_WAIT, SWEEP_INTERVAL
from scoresvc.writer import Write
from scoresvc.wsgi import Application

# The headers that a call may read, with their names in an environ.
HEADERS = (
    ("content-length", "CONTENT_LENGTH"),
    ("transfer-encoding", "HTTP_TRANSFER_ENCODING"),
    ("accept", "HTTP_ACCEPT"),
    ("authorization", "HTTP_AUTHORIZATION"),
)


class RsgiApplication:
    """Takes requests as https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md says.

    What the loop may answer in a moment it answers itself, what a client may make long one of
    `threads`. A request whose score is being written holds neither.
    """

    def __init__(self, application: Application, threads: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="scoresvc-reader")
        self._receiving: dict[asyncio.Task[Any], float] = {}  # requests whose body arrives, since when
        self._loop: asyncio.AbstractEventLoop
        self._endings: Endings

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._endings = Endings(loop)
        self._cut_slow_bodies()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        environ = read_environ(scope)
        call = self._application.take(environ)
        try:
            call.find()
            if environ["REQUEST_METHOD"] == "POST":
                environ["wsgi.input"] = io.BytesIO(await self._read_body(protocol) if _is_read(environ) else b"")
            if call.may_last():
                response = await self._loop.run_in_executor(self._threads, call.answer)
            else:
                value = call.value()
                if isinstance(value, Write):
                    await self._endings.of(value)
                response = call.succeed(value)
        except Exception as error:
            response = call.fail(error)
        # The length of a body that is there granian adds by itself.
        headers = response.headers if environ["REQUEST_METHOD"] == "HEAD" else response.headers[:-1]
        protocol.response_bytes(int(response.status[:3]), headers, response.body)

    async def _read_body(self, protocol: Any) -> bytes:
        """Returns the body, empty where it breaks off or takes too long."""
        task = asyncio.current_task()
        assert task is not None
        self._receiving[task] = time.monotonic()
        try:
            body: bytes = await protocol()
            return body
        except (RuntimeError, asyncio.CancelledError):  # RSGI's errors are of the first kind
            return b""
        finally:
            del self._receiving[task]

    def _cut_slow_bodies(self) -> None:
        late = time.monotonic() - REQUEST_WAIT
        for task, since in self._receiving.items():
            if since < late:
                task.cancel()
        self._loop.call_later(SWEEP_INTERVAL, self._cut_slow_bodies)


class Endings:
    """Wakes an event loop once for all writes that have ended together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: deque[asyncio.Future[None]] = deque()
        self._is_waking = False

    def of(self, write: Write[Any]) -> asyncio.Future[None]:
        """Returns what is done when the write has ended."""
        future = self._loop.create_future()
        write.when_ended(partial(self._note, future))
        return future

    def _note(self, future: asyncio.Future[None]) -> None:
        """Called by the writer's thread."""
        self._ended.append(future)
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_waking = False  # first: what is noted from now on wakes the loop again
        while self._ended:
            future = self._ended.popleft()
            if not future.done():
                future.set_result(None)


def read_environ(scope: Any) -> Environ:
    environ = {"REQUEST_METHOD": scope.method, "PATH_INFO": scope.path, "QUERY_STRING": scope.query_string}
    headers = scope.headers
    for name, key in HEADERS:
        if name in headers:
            environ[key] = ",".join(headers.get_all(name))
    return environ


def _is_read(environ: Environ) -> bool:
    """Tells whether the body is awaited; a wrong one is refused unread, when its turn has come."""
    try:
        return body_length(environ) > 0
    except Refusal:
        return False
