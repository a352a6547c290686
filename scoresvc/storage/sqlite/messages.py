"""Messages between the processes that serve and the one that writes, on a stream socket.

A message is four bytes of length, big-endian, and so many bytes of MessagePack. A request is a number and, by name of
the change, rows. Its reply is the same number, by name of the change the outputs of the rows, and the failures: name,
place among the rows, and whether the database could not take it (or else a bug did it).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

RECEIVE_BYTES = 1 << 18
SOCKET_BUFFER_BYTES = 1 << 20

_LENGTH_BYTES = 4


class WriteRequest(NamedTuple):
    number: int
    rows: dict[str, list[Any]]


class WriteReply(NamedTuple):
    number: int
    outputs: dict[str, list[Any]]
    failures: list[tuple[str, int, bool]]


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Returns two connected sockets that do not block, for messages of many posts."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        end.setblocking(False)
    return pair


class MessageStream:
    """One end of such a socket. Methods raise OSError where the other end is gone or does not read."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.has_ended = False  # whether the other end will send no more
        self._received = bytearray()

    def send(self, message: WriteRequest | WriteReply) -> None:
        payload = msgspec.msgpack.encode(message)
        unsent = memoryview(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload)
        while unsent:
            unsent = unsent[self.socket.send(unsent) :]

    def receive(self) -> Iterator[list[Any]]:
        """Yields the messages that are there, each as a list of its fields."""
        with suppress(BlockingIOError):  # all that has arrived is taken
            while not self.has_ended:
                received = self.socket.recv(RECEIVE_BYTES)
                self.has_ended = not received
                self._received += received
        while len(self._received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES], "big")
            if len(self._received) < end:
                return
            payload = bytes(self._received[_LENGTH_BYTES:end])
            del self._received[:end]
            yield msgspec.msgpack.decode(payload)

    def close(self) -> None:
        self.socket.close()
