"""One connection of a client: its socket, which never blocks, with the state of its request."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from scoresvc.tcp.frames import Address, FrameReader

RECEIVE_BYTES = 65536  # read from a socket at once
DRAIN_BYTES_MAX = 4 * 1024 * 1024  # of input that is read and ignored after the response


class ConnectionLimits(NamedTuple):
    """What one client may use, and how many there may be."""

    frame_bytes_max: int = 65536  # the NUL not counted
    timeout: float = 10  # seconds for the request to arrive whole, and as many for the response to be sent
    connections_max: int = 500


class Connection:
    """A connection, with the `step` that is to be run on it next. Its methods raise OSError."""

    __slots__ = ("_drained", "_reader", "address", "deadline", "event", "may_send_more", "socket", "step", "unsent")

    def __init__(
        self, accepted: socket.socket, address: Address, limits: ConnectionLimits, step: Callable[[Connection], None]
    ) -> None:
        accepted.setblocking(False)
        self.socket = accepted
        self.address = address
        self.step = step
        self.deadline = time.monotonic() + limits.timeout
        self.event = selectors.EVENT_READ  # what the step waits for
        self.unsent = memoryview(b"")
        self.may_send_more = False  # whether the client may still send after its request
        self._reader = FrameReader(limits.frame_bytes_max)
        self._drained = 0

    def start(self, step: Callable[[Connection], None], timeout: float) -> None:
        """Runs a step that, with all its repetitions, may take `timeout` seconds."""
        self.step = step
        self.deadline = time.monotonic() + timeout
        step(self)

    def is_late(self) -> bool:
        return time.monotonic() >= self.deadline

    def receive(self) -> bytes | None:
        """Returns the frame without its NUL, or None until it is complete. Raises FrameTooLong."""
        frame = None
        while frame is None:
            try:
                segment = self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return None
            if not segment:
                raise ConnectionAbortedError
            frame = self._reader.feed(segment)
        self.may_send_more = self._reader.has_trailing_data
        return frame

    def send(self) -> bool:
        """Sends what the socket takes now. Returns whether everything is sent."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return False
        return True

    def has_input_ended(self) -> bool:
        """Returns whether no unread input is there and, as far as one can tell, none is on its way."""
        try:
            return not self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return not self.may_send_more

    def drain(self) -> bool:
        """Reads the input that is there. Returns whether the client has sent its last byte, or DRAIN_BYTES_MAX."""
        try:
            while self._drained < DRAIN_BYTES_MAX:
                received = len(self.socket.recv(RECEIVE_BYTES))
                if not received:
                    break
                self._drained += received
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()
