"""The head of a request: its request line and its header, from bytes to what they say.

Theory of operation. A head is read whole, by a function without state: bytes in, a `Head` or a Refusal out. Its header
is judged by llhttp (httptools), for it is what request smuggling is made of: the syntax of fields, lengths that
contradict each other. llhttp is strict by itself; no leniency is on. Rules that keep it safe:

- Each head gets a parser of its own, for 0.3 us. So llhttp never has to say where a message ends, which httptools
  does not tell, and no head can leave anything behind for the next one.
- It never sees a request line. Ours is checked here, and a constant one is fed in its place. llhttp knows only the
  methods of its table, takes a CONNECT for the end of HTTP, and has its own mind about `#` and bytes over 127; here an
  unknown method is a matter of the API, and `GET /4711/# HTTP/1.1` logs in.
- What it calls only notes what it has found, so no error of ours passes through it.
- `Upgrade` makes it end HTTP, where RFC 9110, 7.8, lets a server ignore the field: when it complains, the field is
  renamed. Only clients that offer h2c have it, such as Java's, once a connection.

The same clients send the same header again and again, mostly with another request line, so what the last lines and the
last headers say is cached; a long one never is, and each cache holds at most CACHED * CACHED_BYTES_MAX bytes of
clients, twice. Nothing may change what is cached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from scoresvc.errors import BadContentLength
from scoresvc.errors.http import (
    BadHost,
    BadRequest,
    BadTarget,
    ExpectationFailed,
    HeaderTooLarge,
    UnknownTransferCoding,
    VersionNotSupported,
)
from scoresvc.limits import HEADER_FIELDS_MAX

CACHED = 1024  # lines, and as many headers
CACHED_BYTES_MAX = 512  # of each

# The header fields that are kept: those that the API reads, then those that frame the message.
API_FIELDS = (
    b"accept",
    b"access-control-request-method",
    b"authorization",
    b"content-encoding",
    b"content-type",
    b"forwarded",
    b"idempotency-key",
    b"if-none-match",
    b"last-event-id",
    b"origin",
    b"x-forwarded-for",
)
FRAMING_FIELDS = (b"connection", b"content-length", b"expect", b"host", b"transfer-encoding")
FIELDS_KEPT = {name: name.decode() for name in (*API_FIELDS, *FRAMING_FIELDS)}

CHUNKED = -1  # in place of a length that is not known
_LENGTH_DIGITS_MAX = 20  # more than any length has; int() would refuse thousands of zeros

_LINE_FED = b"PUT / HTTP/1.1\r\n"
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/1\.([0-9])\r\n")
_OTHER_VERSION = re.compile(rb"[^\x00-\x1f\x7f]* HTTP/(?!1\.)[0-9]+(\.[0-9]+)?\r\n")
_NEVER_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
_UPGRADE = re.compile(rb"^upgrade:", re.IGNORECASE | re.MULTILINE)
_ABSOLUTE_TARGET = re.compile("https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
# A name, an address, [an IPv6 address]; then perhaps a port (RFC 3986, 3.2.2, without what no host has).
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._~-]+)?\])(?::[0-9]{0,5})?")


class Line(NamedTuple):
    """What a request line says."""

    method: str
    path: str  # percent-escapes decoded; each character stands for one byte
    query: str  # without the question mark, percent-escapes kept
    is_http_1_0: bool


class Header(NamedTuple):
    """What a header says."""

    fields: Mapping[str, str]  # FIELDS_KEPT, by lower-case name; values of a repeated one with commas between them
    keeps_alive: bool
    expects_continue: bool
    body_length: int  # bytes; or CHUNKED


class Head(msgspec.Struct, frozen=True, gc=False):
    """See Line and Header."""

    method: str
    path: str
    query: str
    is_http_1_0: bool
    headers: Mapping[str, str]
    keeps_alive: bool
    expects_continue: bool
    body_length: int


def read_head(head: bytes) -> Head:
    """Returns what is said in a head, whose empty line is its end and is nowhere before. Raises a Refusal."""
    end = head.index(b"\r\n") + 2
    line = _read_line_cached(head[:end]) if end <= CACHED_BYTES_MAX else _read_line(head[:end])
    read_header = _read_header_cached if len(head) - end <= CACHED_BYTES_MAX else _read_header
    return Head(*line, *read_header(head[end:], line.is_http_1_0))


def check_part(part: bytes, start: int) -> None:
    """Refuses a part of a head that cannot become one, whatever follows. `start`: up to where this is known."""
    if part.find(b"\n", start) >= 0:
        _match_line(part)
    if _NEVER_IN_HEAD.search(part, max(0, start - 1)):
        raise BadRequest


def _read_line(line: bytes) -> Line:
    method, target, minor = _match_line(line).groups()
    return Line(method.decode(), *_read_target(target), minor == b"0")


def _read_header(header: bytes, is_http_1_0: bool) -> Header:
    fields = _read_fields(header)
    _check_host(fields.kept.get("host"), is_http_1_0)
    return Header(
        fields.kept,
        _reads_keep_alive(fields.kept.get("connection"), is_http_1_0),
        _reads_continue(fields.kept.get("expect"), is_http_1_0),
        0 if fields.is_complete else _read_body_length(fields.kept, is_http_1_0),
    )


_read_line_cached = lru_cache(CACHED)(_read_line)
_read_header_cached = lru_cache(CACHED)(_read_header)


def _match_line(head: bytes) -> re.Match[bytes]:
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise VersionNotSupported if _OTHER_VERSION.match(head) else BadRequest
    return line


class _Fields:
    """What llhttp has found in a header."""

    __slots__ = ("is_complete", "kept")

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.is_complete = False  # whether the message ends with its head

    def on_header(self, name: bytes, value: bytes) -> None:
        field = FIELDS_KEPT.get(name.lower())
        if field is not None:
            text = value.decode("latin-1").rstrip(" \t")
            self.kept[field] = f"{self.kept[field]},{text}" if field in self.kept else text

    def on_message_complete(self) -> None:
        self.is_complete = True


def _read_fields(header: bytes) -> _Fields:
    if header.count(b"\n") > HEADER_FIELDS_MAX + 1:
        raise BadRequest if _NEVER_IN_HEAD.search(header) else HeaderTooLarge
    fields = _Fields()
    try:
        HttpRequestParser(fields).feed_data(_LINE_FED + header)
    except HttpParserUpgrade:
        return _read_fields(_UPGRADE.sub(b"x:", header))
    except HttpParserCallbackError:
        raise
    except HttpParserError as error:
        raise BadContentLength if "Content-Length" in str(error) else BadRequest from None
    return fields


def _read_target(target: bytes) -> tuple[str, str]:
    """Returns path and query. The path is a path even where it begins with two slashes. Raises BadTarget."""
    text = target.decode("latin-1")
    if not text.startswith("/") and text != "*":
        text = strip_authority(text)
    path, _, query = text.partition("?")
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else path, query


def strip_authority(target: str) -> str:
    """Returns path and query of an absolute target (RFC 9112, 3.2.2); its host matters as little as Host does.

    Raises BadTarget.
    """
    absolute = _ABSOLUTE_TARGET.fullmatch(target)
    if absolute is None or not _HOST.fullmatch(absolute[1]):
        raise BadTarget
    return absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"


def _check_host(host: str | None, is_http_1_0: bool) -> None:
    """RFC 9112, 3.2: one Host, which HTTP/1.0 may leave out. A repeated one has a comma, which no host has."""
    if host is None and is_http_1_0:
        return
    if host is None or not _HOST.fullmatch(host):
        raise BadHost


def _reads_keep_alive(connection: str | None, is_http_1_0: bool) -> bool:
    """RFC 9112, 9.3."""
    if connection is None:
        return not is_http_1_0
    options = {option.strip(" \t").lower() for option in connection.split(",")}
    return "close" not in options and (not is_http_1_0 or "keep-alive" in options)


def _reads_continue(expectation: str | None, is_http_1_0: bool) -> bool:
    """RFC 9110, 10.1.1: there is one expectation, which HTTP/1.0 does not know."""
    if expectation is None or is_http_1_0:
        return False
    if expectation.lower() != "100-continue":
        raise ExpectationFailed
    return True


def _read_body_length(headers: dict[str, str], is_http_1_0: bool) -> int:
    """RFC 9112, 6; llhttp has refused what contradicts itself."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is None:
        if length is None or len(length) > _LENGTH_DIGITS_MAX:
            raise BadContentLength
        return int(length)
    if is_http_1_0:  # RFC 9112, 6.1: its framing is faulty
        raise BadRequest
    if coding.lower() != "chunked":
        raise UnknownTransferCoding
    return CHUNKED
