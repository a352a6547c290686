"""A connection that a slow client cannot keep, and that ends so that its last answer arrives.

Theory of operation. The base of a protocol on an event loop; all of it runs in the loop's thread.

- The write buffer's limit is 0: a byte that the kernel does not take blocks the connection (`_is_blocked`) until it
  does, with a deadline. With asyncio's own limits a client that never reads would hold 64 KiB, with no deadline, and
  `transport.close()` would wait for it for ever.
- The way out is always the same, `_close`: the last bytes, our FIN, then input is read and dropped until the client's
  FIN or a deadline. To close a socket with input unread makes the kernel send RST, and the client loses the answer.
- `deadline` says when the present wait is too long; the sweep of `Connections` calls `expire`. More bytes do not move
  it: it is set when a wait begins.
- A call is answered at once, or `_is_calling` says that its response is waited for, which `receive` brings.
- A bug in a protocol costs its connection (`_fail`), never the loop.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from contextlib import suppress
from typing import ClassVar, cast

from scoresvc.api.request import Pending, Response
from scoresvc.limits import DRAIN_BYTES_MAX
from scoresvc.net.connections import NEVER
from scoresvc.net.server import Server

log = logging.getLogger("scoresvc.net")


class LingeringProtocol(asyncio.Protocol):
    """One connection of `server`."""

    __slots__ = (
        "_completions", "_connections", "_drained_bytes", "_has_eof", "_has_said_last", "_is_blocked", "_is_calling",
        "_is_closing", "_is_reading_paused", "_loop", "_transport", "address", "deadline",
    )  # fmt: skip

    drain_bytes_max: ClassVar[int] = DRAIN_BYTES_MAX  # read and dropped while it is being closed

    def __init__(self, server: Server) -> None:
        self._loop = server.loop
        self._connections = server.connections
        self._completions = server.completions
        self._transport: asyncio.Transport
        self.address = ""
        self.deadline = NEVER  # by the loop's time
        self._drained_bytes = 0
        self._is_calling = False  # a response is waited for
        self._has_eof = False  # the client has shut down its side
        self._is_blocked = False  # the client does not read as fast as we write
        self._is_reading_paused = False
        self._is_closing = False  # nothing that comes is looked at any more
        self._has_said_last = False  # and nothing more is written

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is none by its classes
        transport.set_write_buffer_limits(0)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        if self._connections.add(self):
            self.open()
            return
        self.reject()
        if self._connections.has_too_many_rejected:
            transport.close()

    @abstractmethod
    def open(self) -> None:
        """Called when the connection may be served."""

    @abstractmethod
    def reject(self) -> None:
        """Called when there are too many; says so and closes."""

    @abstractmethod
    def shut_down(self) -> None:
        """Called when the service shuts down."""

    @abstractmethod
    def expire(self) -> None:
        """Called when the deadline has passed."""

    @abstractmethod
    def _answer(self, response: Response) -> None:
        """Called with the response to a call."""

    def _take(self, answer: Response | Pending) -> None:
        """Takes what a call came to: its response, or what brings it later."""
        if isinstance(answer, Response):
            self._answer(answer)
            return
        self._is_calling = True
        self.deadline = NEVER
        answer.add_done_callback(self._bring_back)

    def _bring_back(self, pending: Pending) -> None:
        """Called in another thread."""
        self._completions.add(self, pending)

    def receive(self, pending: Pending) -> None:
        """Takes the response that was waited for."""
        self._is_calling = False
        if self._is_closing:
            return
        try:
            self._answer(pending.result())
        except Exception:
            self._fail()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = self._has_said_last = True
        self._connections.remove(self)

    def pause_writing(self) -> None:
        self._is_blocked = True
        self._set_deadline(self._connections.timeouts.answer)

    def resume_writing(self) -> None:
        self._is_blocked = False
        if self._is_closing:
            self._set_deadline(self._connections.timeouts.linger)

    def abort(self) -> None:
        self._transport.abort()

    def _drain(self, data: bytes) -> None:
        self._drained_bytes += len(data)
        if self._drained_bytes > self.drain_bytes_max:
            self._transport.close()

    def _close(self) -> None:
        """Ends the connection when all that is written has been read, or has had time to be."""
        if self._has_said_last:
            return
        self._is_closing = self._has_said_last = True
        if self._is_reading_paused:
            self._read_on()
        if self._has_eof:
            self._transport.close()
        else:
            with suppress(OSError):  # the client was faster
                self._transport.write_eof()
        if not self._is_blocked:
            self._set_deadline(self._connections.timeouts.linger)

    def _fail(self) -> None:
        """To be called for an exception that nobody expected."""
        log.exception("a connection failed")
        self._is_closing = self._has_said_last = True
        self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        self._is_reading_paused = False
        self._transport.resume_reading()

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds
