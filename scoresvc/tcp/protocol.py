"""JSON over TCP on an event loop: one request a connection.

Theory of operation: all of this runs in the loop's thread, and nothing of it waits. Segments go to the FrameReader
until a frame is whole; the call answers at once, or later through `receive`; then the connection is closed as
net/lingering.py says. What follows a frame is ignored: while its answer is waited for, it stays in the socket, with
reading paused; a count of dropped bytes would end the wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from scoresvc.api.request import Pending, Request, Response
from scoresvc.net.calling import Completions
from scoresvc.net.connections import NEVER, Connections
from scoresvc.net.lingering import LingeringProtocol
from scoresvc.tcp import frames

# Read and dropped of a connection that is being closed. Most clients read when they have sent all that they have: one
# that cannot send it never gets its 413. So this is more than for HTTP, whose clients read while they send.
DRAIN_BYTES_MAX = 4 * 1024 * 1024

log = logging.getLogger("scoresvc.tcp")


class TcpShared(NamedTuple):
    """What the connections of an event loop share."""

    loop: asyncio.AbstractEventLoop
    connections: Connections
    call: Callable[[Request], Response | Pending]
    completions: Completions
    frame_bytes_max: int


class JsonConnection(LingeringProtocol):
    """Waits for a frame, then for its response."""

    __slots__ = ("_is_calling", "_reader", "_shared")

    drain_bytes_max = DRAIN_BYTES_MAX

    def __init__(self, shared: TcpShared) -> None:
        super().__init__(shared.loop, shared.connections)
        self._shared = shared
        self._reader = frames.FrameReader(shared.frame_bytes_max)
        self._is_calling = False

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
            self._answer(frame)

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

    def receive(self, pending: Pending) -> None:
        """Takes the response that was waited for."""
        self._is_calling = False
        if self._is_closing:
            return
        try:
            self._respond(pending.result())
        except Exception:
            self._fail()

    def _answer(self, frame: bytes) -> None:
        try:
            request = frames.parse_request(frame, self.address)
        except frames.FrameError as error:
            self._refuse(error.code)
            return
        response = self._shared.call(request)
        if isinstance(response, Response):
            self._respond(response)
            return
        self._is_calling = True
        self.deadline = NEVER
        response.add_done_callback(self._bring_back)

    def _bring_back(self, pending: Pending) -> None:
        """Called in another thread."""
        self._shared.completions.add(self, pending)

    def _refuse(self, code: int) -> None:
        self._finish(frames.refuse(code))

    def _respond(self, response: Response) -> None:
        try:
            content_type = next((value for name, value in response.headers if name.lower() == "content-type"), "")
            self._finish(frames.make_response(response.status, content_type, response.body))
        except Exception:
            log.exception("the application made a response that has no form in JSON")
            self._refuse(500)

    def _finish(self, response: frames.FrameResponse) -> None:
        self._transport.write(response.to_bytes())
        self._close()
