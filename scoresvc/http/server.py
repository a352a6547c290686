"""The HTTP server of one event loop: its listeners, its connections, its start and its end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable

from scoresvc.api.dispatch import Api
from scoresvc.http.answering import Shared
from scoresvc.http.protocol import HttpConnection
from scoresvc.http.responses import ResponseWriter
from scoresvc.limits import CONNECTIONS_MAX
from scoresvc.net.accepting import Acceptor
from scoresvc.net.calling import Caller, Completions
from scoresvc.net.connections import Connections, Timeouts

TIMEOUTS = Timeouts()
RECEIVE_BUFFER_BYTES = 32768  # of a socket; holds a whole request


class HttpServer:
    """Answers HTTP through `api`; a call that may take long runs in one of `threads`. To be made in the loop."""

    def __init__(
        self,
        api: Api,
        threads: int,
        connections_max: int = CONNECTIONS_MAX,
        connections_per_address: int = 0,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._timeouts = timeouts
        self._caller = Caller(api, threads)
        self.call = self._caller.call
        self._responses = ResponseWriter()
        self.connections = Connections(timeouts, connections_max, connections_per_address)
        self._shared = Shared(loop, self._caller, Completions(loop), self.connections, self._responses)
        self._acceptors: list[Acceptor] = []
        self._sweeping: asyncio.Handle
        self._sweep()

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Serves on sockets that are bound."""
        for listener in listeners:
            # A connection inherits it. So much, and not what the system may let it grow to, is read at once.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._acceptors.append(Acceptor(listener, self.make_connection))

    def make_connection(self) -> HttpConnection:
        return HttpConnection(self._shared)

    async def shut_down(self, grace: float) -> None:
        """Accepts no more, answers the requests that have begun to arrive, and closes all after `grace` seconds."""
        for acceptor in self._acceptors:
            acceptor.close()
        await self.connections.shut_down(grace)
        self._sweeping.cancel()

    def close(self) -> None:
        """Ends the threads; to be called when nobody uses `call` any more."""
        self._caller.close()

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(self._timeouts.sweep, self._sweep)
        self._responses.set_time(time.time())
        self.connections.sweep(self._loop.time())
