"""The open connections of a process: how many there may be, and which of them have been too slow.

There is no timer for a connection or a request, which would cost more than answering does: each connection has a
deadline, and one sweep a second calls those whose deadline has passed. So a deadline is kept up to a sweep late, and
never early. `idle_deadline` is set by the sweep for all, so that a connection that goes idle asks no clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from scoresvc.limits import (
    ANSWER_TIMEOUT,
    IDLE_TIMEOUT,
    LINGER_TIMEOUT,
    REQUEST_TIMEOUT,
    SWEEP_INTERVAL,
)
from scoresvc.net.accepting import connections_possible

REJECTED_MAX = 128  # connections over the limit whose end is waited for, so that their 503 arrives
REJECTED_SHARE = 4  # of all descriptors they take one in so many, at most
ABORT_TIMEOUT = 1.0  # seconds for the loop to notice what it has aborted

NEVER = float("inf")

log = logging.getLogger("scoresvc.net")


@dataclass(frozen=True)
class Timeouts:
    """Seconds, each in all, however slowly the bytes come."""

    head: float = REQUEST_TIMEOUT  # from the connection or from the first byte
    body: float = REQUEST_TIMEOUT
    answer: float = ANSWER_TIMEOUT  # for the client to read it
    idle: float = IDLE_TIMEOUT
    linger: float = LINGER_TIMEOUT
    sweep: float = SWEEP_INTERVAL


class Connection(Protocol):
    """What is called here; each call may be the one that makes the connection leave."""

    @property
    def deadline(self) -> float: ...

    @property
    def address(self) -> str: ...

    def expire(self) -> None: ...

    def shut_down(self) -> None: ...

    def abort(self) -> None: ...


class Connections:
    """All connections. More than `connections_max`, or than `per_network_max` where that is not 0, are rejected."""

    def __init__(self, timeouts: Timeouts, connections_max: int, per_network_max: int) -> None:
        self.timeouts = timeouts
        self.idle_deadline = NEVER  # until the first sweep
        self._rejected_max = connections_possible(REJECTED_MAX * REJECTED_SHARE) // REJECTED_SHARE
        self._connections_max = connections_possible(connections_max + self._rejected_max) - self._rejected_max
        self._per_network_max = per_network_max
        self._accepted: set[Connection] = set()
        self._rejected: set[Connection] = set()
        self._networks: Counter[str] = Counter()
        self._is_shutting_down = False
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._accepted) + len(self._rejected)

    def add(self, connection: Connection) -> bool:
        """Returns whether the connection may ask; if not, it is kept until it has been told so."""
        is_full = self._is_shutting_down or len(self._accepted) >= self._connections_max
        if is_full or not self._add_to_network(connection.address):
            self._rejected.add(connection)
            return False
        self._accepted.add(connection)
        return True

    @property
    def has_too_many_rejected(self) -> bool:
        return len(self._rejected) > self._rejected_max

    def remove(self, connection: Connection) -> None:
        if connection in self._accepted:
            self._accepted.remove(connection)
            self._remove_from_network(connection.address)
        self._rejected.discard(connection)
        if not len(self):
            self._empty.set()

    def sweep(self, now: float) -> None:
        """Has the connections whose deadline has passed end what they wait for; `now` is the loop's time."""
        self.idle_deadline = now + self.timeouts.idle + self.timeouts.sweep
        for connection in [each for each in self._all() if each.deadline <= now]:
            try:
                connection.expire()
            except Exception:  # a bug costs its connection, not the deadlines of the others
                log.exception("a connection failed at its deadline")
                connection.abort()

    async def shut_down(self, grace: float) -> None:
        """Closes those that wait for a request, gives the others so many seconds, then ends them."""
        self._is_shutting_down = True
        for connection in self._all():
            connection.shut_down()
        await self._wait_until_empty(grace)
        for connection in self._all():
            connection.abort()
        await self._wait_until_empty(ABORT_TIMEOUT)

    async def _wait_until_empty(self, seconds: float) -> None:
        self._empty.clear()
        if len(self):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)

    def _all(self) -> list[Connection]:
        return [*self._accepted, *self._rejected]

    def _add_to_network(self, address: str) -> bool:
        if self._per_network_max:
            network = network_of(address)
            if self._networks[network] >= self._per_network_max:
                return False
            self._networks[network] += 1
        return True

    def _remove_from_network(self, address: str) -> None:
        if self._per_network_max:
            network = network_of(address)
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]


def network_of(address: str) -> str:
    """Returns what counts as one client: an IPv4 address, or the /64 of an IPv6 one, which one customer has whole."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or parsed.packed[:8].hex())
