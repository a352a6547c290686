"""Writes HTTP/1.1 responses as bytes."""

from __future__ import annotations

from email.utils import formatdate

from scoresvc.api.request import Headers, Response

HEADS_CACHED = 1024
HEAD_BYTES_CACHED_MAX = 1024  # a head may repeat what a client sent, so its size is bounded, too

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"


class ResponseWriter:
    """Makes each head once a second: status, headers and `Date` (RFC 9110, 6.6.1) in one piece of bytes.

    What is different for each response follows: the tag of its body, what becomes of the connection.
    """

    def __init__(self) -> None:
        self._date = ""
        self._heads: dict[tuple[str, Headers], bytes] = {}

    def set_time(self, now: float) -> None:
        """To be called at least once a second; `now` is in Unix seconds."""
        date = formatdate(now, usegmt=True)
        if date != self._date:
            self._date = date
            self._heads.clear()

    def write(self, response: Response, connection: bytes = b"") -> bytes:
        """Returns the response as bytes; `connection` is nothing, CLOSE or KEEP_ALIVE."""
        status, headers = response.status, response.headers
        head = self._heads.get((status, headers)) or self._make_head(status, headers)
        if response.etag:
            return b"%bETag: %b\r\n%b\r\n%b" % (head, response.etag.encode(), connection, response.body)
        return b"%b%b\r\n%b" % (head, connection, response.body)

    def _make_head(self, status: str, headers: Headers) -> bytes:
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
        head = f"HTTP/1.1 {status}\r\nDate: {self._date}\r\n{fields}".encode("latin-1")
        if len(head) <= HEAD_BYTES_CACHED_MAX:
            if len(self._heads) >= HEADS_CACHED:
                self._heads.clear()
            self._heads[status, headers] = head
        return head
