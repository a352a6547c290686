"""JSON over TCP on an event loop: one request a connection.

Theory of operation. All of this runs in the loop's thread, and nothing of it waits. Segments go to the FrameReader
until a frame is whole; the call answers at once or later; then the connection is closed as
net/lingering.py says. What follows a frame is ignored: while its answer is waited for, it stays in the socket, with
reading paused; a count of dropped bytes would end the wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from scoresvc.api.request import Pending, Request, Response
from scoresvc.config import TcpOptions
from scoresvc.net.connections import Connections, Timeouts
from scoresvc.net.lingering import LingeringProtocol
from scoresvc.net.server import Server
from scoresvc.tcp import frames

# Read and dropped of a connection that is being closed. Most clients read when they have sent all that they have: one
# that cannot send it never gets its 413. So this is more than for HTTP, whose clients read while they send.
DRAIN_BYTES_MAX = 4 * 1024 * 1024

Call = Callable[[Request], Response | Pending]

log = logging.getLogger("scoresvc.tcp")


class JsonConnection(LingeringProtocol):
    """Waits for a frame, then for its response."""

    __slots__ = ("_call", "_reader")

    drain_bytes_max = DRAIN_BYTES_MAX

    def __init__(self, server: Server, call: Call, frame_bytes_max: int) -> None:
        super().__init__(server)
        self._call = call
        self._reader = frames.FrameReader(frame_bytes_max)

    def open(self) -> None:
        self._set_deadline(self._connections.timeouts.head)

    def reject(self) -> None:
        self._refuse(503)

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            self._drain(data)
            return
        if self._is_calling:
            self._pause_reading()
            return
        try:
            frame = self._reader.feed(data)
        except frames.FrameTooLong as error:
            self._refuse(error.code)
            return
        if frame is not None:
            self._call_for(frame)

    def eof_received(self) -> bool:
        """Returns whether the connection stays open, for an answer; a request that ends without its NUL gets 408."""
        self._has_eof = True
        if not self._is_closing and not self._is_calling:
            self._refuse(408)
        return self._is_calling

    def expire(self) -> None:
        if self._is_closing:
            self.abort()
        else:
            self._refuse(408)

    def shut_down(self) -> None:
        """Closes the connection, after the answer to a request that is there; others are not waited for."""
        if not self._is_calling and not self._is_closing:
            self.abort()

    def _call_for(self, frame: bytes) -> None:
        try:
            request = frames.parse_request(frame, self.address)
        except frames.FrameError as error:
            self._refuse(error.code)
            return
        self._take(self._call(request))

    def _refuse(self, code: int) -> None:
        self._finish(frames.refuse(code))

    def _answer(self, response: Response) -> None:
        try:
            content_type = next((value for name, value in response.headers if name.lower() == "content-type"), "")
            self._finish(frames.make_response(response.status, content_type, response.body))
        except Exception:
            log.exception("the application made a response that has no form in JSON")
            self._refuse(500)

    def _finish(self, response: frames.FrameResponse) -> None:
        self._transport.write(response.to_bytes())
        self._close()


class TcpServer(Server):
    """Answers frames with what `call` returns."""

    def __init__(self, call: Call, options: TcpOptions, timeouts: Timeouts | None = None) -> None:
        self._call = call
        self._frame_bytes_max = options.frame_bytes_max
        timeouts = timeouts or Timeouts(head=options.timeout, answer=options.timeout)
        super().__init__(Connections(timeouts, options.connections_max, options.connections_per_address))

    def make_connection(self) -> JsonConnection:
        return JsonConnection(self, self._call, self._frame_bytes_max)
