"""The HTTP server of one event loop."""

from __future__ import annotations

import time

from scoresvc.api.dispatch import Api
from scoresvc.http.protocol import HttpConnection
from scoresvc.http.responses import ResponseWriter
from scoresvc.limits import CONNECTIONS_MAX
from scoresvc.net.calling import Caller
from scoresvc.net.connections import Connections, Timeouts
from scoresvc.net.server import Server

TIMEOUTS = Timeouts()


class HttpServer(Server):
    """Answers HTTP through `api`; a call that may take long runs in one of `threads`."""

    def __init__(
        self,
        api: Api,
        threads: int,
        connections_max: int = CONNECTIONS_MAX,
        connections_per_address: int = 0,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self.caller = Caller(api, threads)
        self._responses = ResponseWriter()
        super().__init__(Connections(timeouts, connections_max, connections_per_address))

    def make_connection(self) -> HttpConnection:
        return HttpConnection(self, self.caller, self._responses)

    def sweep(self) -> None:
        self._responses.set_time(time.time())
        super().sweep()

    def close(self) -> None:
        """Ends the threads; to be called when nobody uses `caller` any more."""
        self.caller.close()
