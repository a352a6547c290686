"""The server of one protocol on an event loop: its listeners, its connections, its start and its end."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable

from scoresvc.net.accepting import Acceptor
from scoresvc.net.calling import Completions
from scoresvc.net.connections import Connections

RECEIVE_BUFFER_BYTES = 32768  # of a socket; holds a whole HTTP request


class Server(ABC):
    """To be made in the loop."""

    def __init__(self, connections: Connections) -> None:
        self.loop = asyncio.get_running_loop()
        self.connections = connections
        self.completions = Completions(self.loop)
        self._acceptors: list[Acceptor] = []
        self._sweeping: asyncio.Handle
        self.sweep()

    @abstractmethod
    def make_connection(self) -> asyncio.Protocol: ...

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Serves on sockets that are bound."""
        for listener in listeners:
            # A connection inherits it. So much, and not what the system may let it grow to, is read at once.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._acceptors.append(Acceptor(listener, self.make_connection))

    async def shut_down(self, grace: float) -> None:
        """Accepts no more, answers the requests that are there, and closes all after `grace` seconds."""
        for acceptor in self._acceptors:
            acceptor.close()
        await self.connections.shut_down(grace)
        self._sweeping.cancel()

    def sweep(self) -> None:
        """Runs once in a sweep's interval; see `Connections`."""
        self._sweeping = self.loop.call_later(self.connections.timeouts.sweep, self.sweep)
        self.connections.sweep(self.loop.time())
