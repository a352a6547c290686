"""HTTP/1.1 without I/O: bytes in, requests out.

Theory of operation. `RequestParser` collects what arrives in `buffer`. `read_head` takes one whole head out of it,
`read_body` one whole body; both return False until it is there, and raise a Refusal when it never will be, after
which the parser must not be used. What follows a message stays in `buffer` until it is asked for: a pipelined request
is parsed when the one before it is answered, never earlier.

How the bytes are cut into segments never changes an answer. So what is refused before a head is whole (a bad request
line, a byte that no head may have, too many bytes) is looked for in the same order when it comes whole; limits count
bytes of the message, not of segments; and no byte is searched twice, however small the segments are.
"""

from __future__ import annotations

import re

from scoresvc.errors.http import HeaderTooLarge, TargetTooLong
from scoresvc.http.chunks import ChunkedBody
from scoresvc.http.head import CHUNKED, Head, check_part, read_head
from scoresvc.limits import HEADER_BYTES_MAX

_CR = b"\r"[0]
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")


class RequestParser:
    """Reads the requests of one connection, one after the other."""

    __slots__ = ("_chunks", "_searched", "body", "buffer", "head")

    def __init__(self) -> None:
        self.buffer = b""  # what has arrived and is not read yet
        self.head: Head  # of the request that is read
        self.body = b""
        self._chunks: ChunkedBody
        self._searched = 0  # bytes of the buffer in which no head ends

    def read_head(self) -> bool:
        """Takes a head from the buffer; False where it is not whole yet. Raises a Refusal."""
        buffer = self.buffer
        if buffer[0] == _CR:
            self._skip_empty_lines()
            buffer = self.buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3)) + 4
        if not 4 <= end <= HEADER_BYTES_MAX:
            self._check_part()
            return False
        self.head = head = read_head(buffer[:end])
        self.buffer = buffer[end:]
        self._searched = 0
        if head.body_length == CHUNKED:
            self._chunks = ChunkedBody()
        return True

    def read_body(self) -> bool:
        """Takes the body from the buffer; False where it is not whole yet. Raises a Refusal."""
        length = self.head.body_length
        if length == CHUNKED:
            self.buffer = self._chunks.feed(self.buffer)
            self.body = self._chunks.content
            return self._chunks.is_complete
        if len(self.buffer) < length:
            return False
        self.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return True

    def _skip_empty_lines(self) -> None:
        """RFC 9112, 2.2: before a request."""
        lines = _EMPTY_LINES.match(self.buffer)
        if lines is not None and lines.end():
            self.buffer = self.buffer[lines.end() :]
            self._searched = 0

    def _check_part(self) -> None:
        part = self.buffer[:HEADER_BYTES_MAX]
        check_part(part, self._searched)
        if len(part) == HEADER_BYTES_MAX:
            raise HeaderTooLarge if b"\n" in part else TargetTooLong
        self._searched = len(part)
