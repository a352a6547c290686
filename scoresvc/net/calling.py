"""Calls the API for the event loop: what takes long runs in a thread, what is answered later comes back as a batch.

Theory of operation. `call` runs on the loop. The API answers most requests at once. A post answers with a Pending,
whose callback the writer calls in its own thread, once for each post of a batch. `Completions.add` may be called by
any thread: it appends to a deque, and only the first one wakes the loop, by one byte in a socket pair. The loop then
takes all that has gathered: one wake-up for a batch of 256 posts, and no task or future for any of them. The flag is
cleared before the deque is emptied: the other way round, one that comes between the two would wait for ever.

A call that takes long, or has to wait for a server, would hold up all connections, so it runs in one of a few threads;
CALLS_QUEUED_MAX bounds those that wait for one. Reads that take CPU time, and pages that are written, share one thread:
more of them would only wait for each other, and the loop would have to wait for the interpreter's lock behind all.
Nothing here raises into the writer's thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from scoresvc.api.dispatch import Api, Exchange
from scoresvc.api.request import Pending, Request, Response
from scoresvc.errors import Unavailable
from scoresvc.storage import WouldBlock

CALLS_QUEUED_MAX = 1024  # in the threads or waiting for one


class Receiver(Protocol):
    """What waits for a response; called in the loop."""

    def receive(self, pending: Pending) -> None: ...


class Caller:
    """Calls `api` in the loop or in one of so many threads."""

    def __init__(self, api: Api, threads: int) -> None:
        self._api = api
        self.reads_body = api.reads_body
        self.refuse_unread = api.refuse_unread
        self._threads = ThreadPoolExecutor(threads, "scoresvc-http")
        self._reads = self._threads if api.reads_wait else ThreadPoolExecutor(1, "scoresvc-reads")
        self._room = threading.Semaphore(CALLS_QUEUED_MAX)

    def call(self, request: Request) -> Response | Pending:
        """Never raises."""
        exchange = self._api.begin(request)
        if exchange.runs_in_thread:
            return self._call_in(self._reads if exchange.takes_cpu else self._threads, exchange)
        try:
            return exchange.answer_in_loop()
        except WouldBlock:
            return self._call_in(self._reads, exchange)

    def close(self) -> None:
        for threads in (self._threads, self._reads):
            threads.shutdown(wait=False, cancel_futures=True)

    def _call_in(self, threads: ThreadPoolExecutor, exchange: Exchange) -> Response | Pending:
        if not self._room.acquire(blocking=False):
            return exchange.fail(Unavailable())
        return threads.submit(self._run, exchange)

    def _run(self, exchange: Exchange) -> Response:
        try:
            response = exchange.answer()
            return response if isinstance(response, Response) else response.result()
        finally:
            self._room.release()


class Completions:
    """Brings responses from other threads to their receivers in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[tuple[Receiver, Pending]] = deque()
        self._is_waking = False

    def add(self, receiver: Receiver, pending: Pending) -> None:
        """May be called by any thread."""
        self._done.append((receiver, pending))
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_waking = False
        while self._done:
            receiver, pending = self._done.popleft()
            receiver.receive(pending)
