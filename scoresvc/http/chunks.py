"""A chunked body: RFC 9112, 7.1.

Theory of operation. llhttp (httptools) reads the chunks, but cannot say how many bytes of a piece were still body, and
the next request may follow. A chunked body ends at the end of a line, so it is fed line by line: none of ours goes
beyond it. Lines that are not whole yet stay where they are; all that is fed, and the longest line, is bounded by
CHUNKED_BYTES_MAX. Trailer fields are read and dropped: behind a body it is too late to say who asks.
"""

from __future__ import annotations

from httptools import HttpParserCallbackError, HttpParserError, HttpRequestParser

from scoresvc.errors import BodyTooLarge
from scoresvc.errors.http import BadRequest
from scoresvc.limits import BODY_BYTES_MAX, CHUNKED_BYTES_MAX

_HEAD_FED = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class ChunkedBody:
    """The body of one request."""

    def __init__(self) -> None:
        self.content = b""  # so far
        self.is_complete = False
        self._bytes_fed = 0
        self._searched = 0  # bytes of what was left over in which no line ends
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(_HEAD_FED)

    def feed(self, data: bytes) -> bytes:
        """Takes the lines that are whole; returns what is left over, to be fed again with what follows.

        Raises BodyTooLarge, BadRequest.
        """
        start = 0
        while not self.is_complete:
            end = data.find(b"\n", max(start, self._searched)) + 1
            if self._bytes_fed + (end or len(data)) > CHUNKED_BYTES_MAX:
                raise BodyTooLarge
            if not end:
                break
            self._feed_line(data[start:end])
            start = end
        self._bytes_fed += start
        self._searched = len(data) - start
        return data[start:]

    def _feed_line(self, line: bytes) -> None:
        try:
            self._parser.feed_data(line)
        except HttpParserCallbackError:
            raise
        except HttpParserError:
            raise BadRequest from None
        if len(self.content) > BODY_BYTES_MAX:
            raise BodyTooLarge

    def on_body(self, piece: bytes) -> None:
        self.content += piece

    def on_message_complete(self) -> None:
        self.is_complete = True
