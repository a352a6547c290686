"""How the threads of the server wait: for sockets, for an item of a queue, for each other."""

from __future__ import annotations

import io
import os
import selectors
import socket
import threading
import time
from collections import deque

from scoresvc.tcp.connection import Connection

POLLING_MAX = 2  # workers at the sockets; measured: 8 are a third slower, 1 switches threads at every request
SWEEP_INTERVAL = 0.1  # seconds between two checks of the deadlines


class SelectableQueue:
    """A queue that a selector can wait for: its pipe holds one byte for each item."""

    def __init__(self) -> None:
        self._items: deque[Connection | None] = deque()
        readable, writable = os.pipe()
        os.set_blocking(readable, False)
        self._readable = io.FileIO(readable, "rb")
        self._writable = io.FileIO(writable, "wb")

    def fileno(self) -> int:
        return self._readable.fileno()

    def put(self, item: Connection | None) -> None:
        """Adds an item; None only wakes a thread that waits."""
        self._items.append(item)
        self._writable.write(b"\0")

    def get(self) -> Connection | None:
        """Removes the first item and returns it; None where there is none. Never waits."""
        if self._items and self._readable.read(1):
            return self._items.popleft()
        return None

    def close(self) -> None:
        self._readable.close()
        self._writable.close()


class Watcher:
    """Watches connections in a thread of its own; puts each into `ready` when its socket is, or at its deadline."""

    def __init__(self, ready: SelectableQueue) -> None:
        self._ready = ready
        self._added = SelectableQueue()
        self._selector = make_selector(self._added)
        self._sweep_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="scoresvc-tcp-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, connection: Connection, event: int) -> None:
        """Takes over a connection that waits for `event` of its socket; the caller must not touch it again."""
        connection.event = event
        self._added.put(connection)

    def stop(self) -> None:
        self._stopping = True
        self._added.put(None)
        self._thread.join()

    def close(self) -> None:
        self._selector.close()
        self._added.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(SWEEP_INTERVAL if self._is_watching() else None):
                if key.data:
                    self._return(key.data)
                elif connection := self._added.get():
                    self._selector.register(connection.socket, connection.event, connection)
            self._return_late()

    def _is_watching(self) -> bool:
        return len(self._selector.get_map()) > 1  # the queue is one

    def _return(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        self._ready.put(connection)

    def _return_late(self) -> None:
        now = time.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_INTERVAL
        for key in tuple(self._selector.get_map().values()):
            if key.data and key.data.deadline <= now:
                self._return(key.data)


class PollLimiter:
    """Limits how many workers poll the sockets: more would only contend for Python's global lock.

    `with limiter` surrounds a call of the application. A worker in a call does not count as polling, and when the
    last one that polls starts a call, it wakes another. So a fast application costs no switch of threads, and a
    slow one blocks nobody else.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._polling_max = POLLING_MAX
        self._polling = workers
        self._waiting = 0
        self._lock = threading.Lock()
        self._wakeups = threading.Semaphore(0)

    def __enter__(self) -> None:
        with self._lock:
            self._polling -= 1
            if self._polling == 0 and self._waiting:
                self._wake_one()

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._polling += 1

    def wait_until_needed(self) -> None:
        """Returns when this worker is to poll, mostly at once."""
        with self._lock:
            if self._polling <= self._polling_max:
                return
            self._polling -= 1
            self._waiting += 1
        self._wakeups.acquire()

    def release_all(self) -> None:
        """Wakes all workers that wait; from now on none waits."""
        with self._lock:
            self._polling_max = self._workers
            while self._waiting:
                self._wake_one()

    def _wake_one(self) -> None:
        self._waiting -= 1
        self._polling += 1
        self._wakeups.release()


def make_selector(*readable: SelectableQueue | socket.socket) -> selectors.BaseSelector:
    """Returns a selector that waits until one of them is readable."""
    selector = selectors.DefaultSelector()
    for each in readable:
        selector.register(each, selectors.EVENT_READ)
    return selector
