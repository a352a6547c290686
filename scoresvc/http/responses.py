"""Writes HTTP/1.1 responses as bytes."""

from __future__ import annotations

from email.utils import formatdate

from scoresvc.api.formats import TEXT
from scoresvc.api.request import Headers, Response
from scoresvc.errors import Refusal
from scoresvc.log import log_access

HEADS_CACHED = 1024
HEAD_BYTES_CACHED_MAX = 1024  # a head may repeat what a client sent, so its size is bounded, too

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n\r\n"


class ResponseWriter:
    """Makes each head once a second: status, headers and `Date` (RFC 9110, 6.6.1) in one piece of bytes."""

    def __init__(self) -> None:
        self._date = ""
        self._heads: dict[tuple[str, Headers], bytes] = {}

    def set_time(self, now: float) -> None:
        """To be called at least once a second; `now` is in Unix seconds."""
        date = formatdate(now, usegmt=True)
        if date != self._date:
            self._date = date
            self._heads.clear()

    def write(self, response: Response) -> bytes:
        """Returns the response to an HTTP/1.1 request; the connection goes on."""
        status, headers, body = response
        head = self._heads.get((status, headers))
        return (head or self._make_head(status, headers)) + body

    def write_with(self, response: Response, connection: bytes) -> bytes:
        """Returns the response with CLOSE or KEEP_ALIVE in its head."""
        head = self._make_head(response.status, response.headers)
        return head[:-2] + connection + response.body

    def _make_head(self, status: str, headers: Headers) -> bytes:
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
        head = f"HTTP/1.1 {status}\r\nDate: {self._date}\r\n{fields}\r\n".encode("latin-1")
        if len(head) <= HEAD_BYTES_CACHED_MAX:
            if len(self._heads) >= HEADS_CACHED:
                self._heads.clear()
            self._heads[status, headers] = head
        return head


def refuse(error: Refusal, address: str) -> Response:
    """Returns the response to a request that does not reach the API; its line in the access log says which refusal."""
    log_access(address, 0, error.code, error.status, 0.0)
    body = str(error).encode()
    return Response(error.status, (("Content-Type", TEXT), *error.headers, ("Content-Length", str(len(body)))), body)
