"""JSON over TCP for one event loop: its connections, its start and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from scoresvc.api.request import Pending, Request, Response
from scoresvc.config import TcpOptions
from scoresvc.net.accepting import Acceptor
from scoresvc.net.calling import Completions
from scoresvc.net.connections import Connections, Timeouts
from scoresvc.tcp.protocol import JsonConnection, TcpShared


class TcpServer:
    """Answers frames with what `call` returns. To be made in the loop."""

    def __init__(
        self, call: Callable[[Request], Response | Pending], options: TcpOptions, timeouts: Timeouts | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        timeouts = timeouts or Timeouts(head=options.timeout, answer=options.timeout)
        self.connections = Connections(timeouts, options.connections_max, options.connections_per_address)
        self._shared = TcpShared(loop, self.connections, call, Completions(loop), options.frame_bytes_max)
        self._acceptors: list[Acceptor] = []
        self._sweeping: asyncio.Handle
        self._sweep()

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Serves on sockets that are bound."""
        self._acceptors = [Acceptor(listener, self.make_connection) for listener in listeners]

    def make_connection(self) -> JsonConnection:
        return JsonConnection(self._shared)

    async def shut_down(self, grace: float) -> None:
        """Accepts no more, answers the requests that are there, and closes all after `grace` seconds."""
        for acceptor in self._acceptors:
            acceptor.close()
        await self.connections.shut_down(grace)
        self._sweeping.cancel()

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(self.connections.timeouts.sweep, self._sweep)
        self.connections.sweep(self._loop.time())
