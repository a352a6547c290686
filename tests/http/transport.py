"""A transport without a socket, whose client reads all at once."""

from __future__ import annotations

import asyncio
from typing import Any


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; `close` and `abort` are noted for `end`."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = bytearray()
        self.is_reading_paused = False
        self.has_written_eof = False
        self.is_closed = False
        protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        """Gives `data` to the protocol, as far as it still reads."""
        if not self.is_closed:
            assert not self.is_reading_paused
            self._protocol.data_received(data)

    def end(self) -> None:
        """The client shuts down its side; whatever the server does then, the connection is lost."""
        if not self.is_closed and not self._protocol.eof_received():
            self.is_closed = True
        assert self.is_closed, "a connection is open that nobody can use"
        self._protocol.connection_lost(None)

    def write(self, data: Any) -> None:
        assert not self.has_written_eof
        self.written += data

    def write_eof(self) -> None:
        self.has_written_eof = True

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.write_buffer_limit = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True
