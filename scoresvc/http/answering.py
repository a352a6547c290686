"""How a request of an HTTP connection gets its answer, and how the answer is sent.

Theory of operation. Responses gather in `_output`, which `_settle` sends at the end of a turn: the answers to pipelined
requests leave in one write. A refusal is the last answer, as is any while `_keeps_alive` is off.
"""

from __future__ import annotations

from abc import abstractmethod

from msgspec.structs import replace

from scoresvc.api.request import Request, Response
from scoresvc.errors import Refusal
from scoresvc.errors.http import TooManyConnections
from scoresvc.http.parsing import RequestParser
from scoresvc.http.responses import CLOSE, KEEP_ALIVE, ResponseWriter
from scoresvc.net.calling import Caller
from scoresvc.net.lingering import LingeringProtocol
from scoresvc.net.server import Server


class AnsweringProtocol(LingeringProtocol):
    """The base of an HTTP connection; what follows it reads the requests into `_parser`."""

    __slots__ = ("_caller", "_is_last", "_keeps_alive", "_output", "_parser", "_responses")

    def __init__(self, server: Server, caller: Caller, responses: ResponseWriter) -> None:
        super().__init__(server)
        self._caller = caller
        self._responses = responses
        self._parser = RequestParser()
        self._output = b""  # to be sent at the end of this turn
        self._keeps_alive = False
        self._is_last = False  # whether the service is shutting down

    def reject(self) -> None:
        self._refuse(TooManyConnections())
        self._settle()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._output = b""
        self._parser.buffer = b""

    def _call(self, body: bytes | Refusal) -> None:
        head = self._parser.head
        request = Request(head.method, head.path, head.query, head.headers, body, self.address)
        self._take(self._caller.call(request))

    def _answer(self, response: Response) -> None:
        if self._keeps_alive and not self._is_last:
            self._output += self._responses.write(response, KEEP_ALIVE if self._parser.head.is_http_1_0 else b"")
            self._wait_for_input()
        else:
            self._output += self._responses.write(response, CLOSE)
            self._is_closing = True

    def _refuse(self, error: Refusal) -> None:
        self._keeps_alive = False
        response = self._caller.refuse_unread(error, self.address)
        self._answer(replace(response, body=b"") if self._parser.buffer.startswith(b"HEAD ") else response)

    @abstractmethod
    def _wait_for_input(self) -> None:
        """Called when an answer is given: the client is to send more."""

    def _flush(self) -> None:
        output, self._output = self._output, b""
        self._transport.write(output)

    def _settle(self) -> None:
        """Sends what there is to send; then reads on, or not, or never again."""
        if self._output:
            self._flush()
        if self._is_closing:
            self._close()
        elif self._is_calling or self._is_blocked:
            if self._parser.buffer:
                self._pause_reading()
        elif self._is_reading_paused:
            self._read_on()
