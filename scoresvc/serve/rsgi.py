"""The service behind RSGI, granian's own interface.

Theory of operation. One event loop takes all requests of a process; granian's threads parse HTTP and send. The loop
answers by itself what takes microseconds. It must never wait: not for a body that is still arriving, not for a commit,
and not for a read whose length the client chose, which runs in a thread.

- The body is awaited only where the call reads it and its length is right. For a wrong length the refusal takes the
  body's place in the request, and becomes the response where the call would read the body: an upload of 1 GiB is
  refused unread. An unknown path is answered while its body is still arriving.
- granian has no deadline for a body, so a sweep cancels the tasks that have waited too long. When a body breaks off,
  granian raises RuntimeError, or passes on what has arrived as if that were all: the length is checked again.
- The writer's thread completes many writes at once. It wakes the loop once for all of them, since each wake-up is a
  system call and a switch of threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from scoresvc.api.dispatch import Api
from scoresvc.api.request import Pending, Request, Response
from scoresvc.errors import BadContentLength, BodyCutShort, BodyTooLarge, Refusal
from scoresvc.limits import BODY_BYTES_MAX, REQUEST_TIMEOUT

SWEEP_INTERVAL = 1.0  # seconds between two checks of the deadlines
HEADERS = ("accept", "authorization")  # those that a call may read

_DIGITS = re.compile("[0-9]+")
_LENGTH = re.compile("[0-9]{1,10}")


class RsgiApplication:
    """Answers requests as https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md says."""

    def __init__(self, api: Api, threads: int) -> None:
        self._api = api
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="scoresvc-reader")
        self._receiving: dict[asyncio.Task[Any], float] = {}  # when each request whose body is arriving began to wait
        self._loop: asyncio.AbstractEventLoop
        self._notifier: CompletionNotifier

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._notifier = CompletionNotifier(loop)
        self._cancel_slow_bodies()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        method, path, headers = scope.method, scope.path, scope.headers
        body = await self._read_body(headers, protocol) if self._api.reads_body(method, path) else b""
        remote_address = scope.client.rpartition(":")[0].strip("[]")
        request = Request(method, path, scope.query_string, _read_headers(headers, HEADERS), body, remote_address)
        if self._api.runs_in_thread(request):
            response = await self._loop.run_in_executor(self._threads, self._api, request)
        else:
            response = self._api(request)
        if not isinstance(response, Response):
            await self._notifier.wait_for(response)
            response = response.result()
        # Where there is a body, granian adds its length by itself.
        sent_headers = response.headers if method == "HEAD" else response.headers[:-1]
        protocol.response_bytes(int(response.status[:3]), sent_headers, response.body)

    async def _read_body(self, headers: Any, protocol: Any) -> bytes | Refusal:
        """Returns the whole body or a refusal: half a score is a score, too."""
        try:
            length = _read_body_length(_read_headers(headers, ("content-length", "transfer-encoding")))
        except Refusal as refusal:
            return refusal
        body = await self._receive(protocol) if length else b""
        return body if len(body) == length else BodyCutShort()

    async def _receive(self, protocol: Any) -> bytes:
        """Returns what arrives, empty where it breaks off or takes too long."""
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

    def _cancel_slow_bodies(self) -> None:
        late = time.monotonic() - REQUEST_TIMEOUT
        for task, since in self._receiving.items():
            if since < late:
                task.cancel()
        self._loop.call_later(SWEEP_INTERVAL, self._cancel_slow_bodies)


class CompletionNotifier:
    """Wakes an event loop once for all writes that are committed together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._completed: deque[asyncio.Future[None]] = deque()
        self._is_waking = False

    def wait_for(self, pending: Pending) -> asyncio.Future[None]:
        """Returns a future that is done when `pending.result()` no longer waits."""
        future = self._loop.create_future()
        pending.add_done_callback(partial(self._add, future))
        return future

    def _add(self, future: asyncio.Future[None], pending: Pending) -> None:
        """Runs in the writer's thread."""
        self._completed.append(future)
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        self._is_waking = False  # first: what is added from now on wakes the loop again
        while self._completed:
            future = self._completed.popleft()
            if not future.done():
                future.set_result(None)


def _read_headers(headers: Any, names: tuple[str, ...]) -> Mapping[str, str]:
    return {name: ",".join(headers.get_all(name)) for name in names if name in headers}


def _read_body_length(headers: Mapping[str, str]) -> int:
    """Returns the length, 0 to 1024 bytes. Raises BadContentLength or BodyTooLarge."""
    length = headers.get("content-length") or "0"
    if "transfer-encoding" in headers or not _DIGITS.fullmatch(length):
        raise BadContentLength
    if not _LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        raise BodyTooLarge
    return int(length)
