"""Accepts connections for an event loop, also when the system has no descriptors left.

Theory of operation. The loops have listeners of their own, but they fail where descriptors run out: asyncio logs a
traceback for each turn of a loop of 100, then again every second (6,000 lines in three seconds with 64 descriptors and
140 clients), and uvloop accepts with a spare descriptor only to close: 90 of the 140 lost their connection without a
word. Here a client that cannot be accepted waits in the listener's backlog. The loop must not look at that listener
meanwhile, for it stays readable and the loop would spin: so it is taken out and looked at again ACCEPT_PAUSE later.
A client that waited is then served as soon as descriptors are free. One line a second says that it happens.

A connection costs 10 us more than with the loops' own listeners, which is nothing beside what it costs the system.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable

from scoresvc.limits import DESCRIPTORS_RESERVED

ACCEPTED_AT_ONCE = 16  # in one turn of the loop, so that the others get theirs
ACCEPT_PAUSE = 0.1  # seconds
LOG_INTERVAL = 1.0  # seconds
BACKLOG = 1024  # connections that wait to be accepted

log = logging.getLogger("scoresvc.net.accepting")


class Acceptor:
    """Gives each connection of `listener` to a protocol of its own, until it is closed. To be made in the loop."""

    def __init__(self, listener: socket.socket, make_protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._connecting: set[asyncio.Task[None]] = set()  # the loop itself keeps weak references only
        self._logged_at = -LOG_INTERVAL
        self._pausing: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Closes the listener. Connections that are accepted stay."""
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            task = self._loop.create_task(self._connect(client))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, client)
        except OSError:  # the client has gone
            client.close()

    def _pause(self, error: OSError) -> None:
        now = self._loop.time()
        if now >= self._logged_at + LOG_INTERVAL:
            self._logged_at = now
            log.error("cannot accept connections: %s; they wait", error.strerror)
        self._loop.remove_reader(self._listener.fileno())
        self._pausing = self._loop.call_later(ACCEPT_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)
        self._accept()


def connections_possible(wanted: int) -> int:
    """Returns how many connections there can be, `wanted` at most, that leave descriptors for files and threads."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, limit - min(DESCRIPTORS_RESERVED, limit // 2))
