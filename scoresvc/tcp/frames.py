"""The JSON-over-TCP protocol without I/O: bytes in, requests out; responses in, bytes out.

A request is a JSON object followed by one NUL byte. A response is a JSON object that
ends with its connection. JSON is RFC 8259 in UTF-8, strictly:

- No byte order mark, no NaN or Infinity, no fraction or exponent out of the range of a double, such as `1e999`.
- No escape of a lone surrogate (`"\\ud800"`): RFC 8259 allows it, but UTF-8 cannot encode it,
  so the application could not be given what was sent.
- The last of two equal keys in an object counts; keys that the protocol does not know are ignored.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from http import HTTPStatus
from itertools import chain
from typing import Any, ClassVar, NamedTuple, NoReturn
from urllib.parse import quote, unquote_to_bytes

METHODS = ("GET", "POST", "PUT", "DELETE")
NESTING_MAX = 500  # arrays and objects inside each other; half of Python's default recursion limit

# The standard phrases, as Python has them; before 3.13 it had these four from RFC 7231 and RFC 4918.
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}

# Headers about the connection or the length of the body: not for the client to set.
HOP_BY_HOP_HEADERS = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
RESERVED_HEADERS = HOP_BY_HOP_HEADERS | {"content-length", "expect"}

_PATH = re.compile(r"/[^\x00-\x20\x7f]*")
_VISIBLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))
# A token (RFC 9110, section 5.6.2) without `_`, which WSGI cannot tell from `-`.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CHARSET = re.compile(r"""charset\s*=\s*"?([^\s;"]+)""", re.IGNORECASE)


class FrameError(Exception):
    """A frame that is not passed on as a request; `code` is the status of its response."""

    code: ClassVar[int]


class BadRequestFrame(FrameError):
    """JSON, but not an object that is a request."""

    code = 400


class FrameTooLong(FrameError):
    """More bytes than a frame may have, its NUL not counted."""

    code = 413


class NotJSON(FrameError):
    """Not JSON as defined at the top of this file, or nested deeper than NESTING_MAX."""

    code = 422


class FrameRequest(NamedTuple):
    """A request, its text as PEP 3333 has it ("Unicode Issues"): each character stands for one byte."""

    method: str
    path: str  # percent-escapes decoded
    query: str  # percent-escapes kept
    headers: dict[str, str]  # by lower-case name; content-type where there is a body
    body: bytes


class FrameResponse(NamedTuple):
    code: int
    message: str  # the phrase of the code
    data: object  # any JSON value

    def to_bytes(self) -> bytes:
        """Returns the response as it is sent."""
        return json.dumps(self._asdict()).encode("ascii")


Address = tuple[Any, ...]  # of a client, as sockets have it: host and port come first
Answer = Callable[[FrameRequest, Address], FrameResponse]


class FrameReader:
    """Collects one frame from the segments in which it arrives, looking at each byte once."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame = bytearray()
        self._bytes_max = frame_bytes_max
        self.has_trailing_data = False  # whether bytes followed the NUL

    def feed(self, segment: bytes) -> bytes | None:
        """Returns the frame without its NUL, or None until it is complete. Raises FrameTooLong as soon as it is."""
        part, nul, rest = segment.partition(b"\0")
        self._frame += part
        if len(self._frame) > self._bytes_max:
            raise FrameTooLong
        self.has_trailing_data = bool(rest)
        return bytes(self._frame) if nul else None


def parse_request(frame: bytes) -> FrameRequest:
    """Returns the request in a frame. Raises NotJSON, BadRequestFrame."""
    try:
        message = parse_json(frame)
    except ValueError:
        raise NotJSON from None
    if not isinstance(message, dict) or message.get("method") not in METHODS:
        raise BadRequestFrame
    path, query = _parse_path(message.get("path"))
    content_type, body = _encode_data(message.get("data"))
    headers = content_type | _parse_headers(message.get("headers", {}))
    return FrameRequest(message["method"], path, query, headers, body)


def make_response(status: str, content_type: str, body: bytes) -> FrameResponse:
    """Returns the response for a status line such as `200 OK` and the body that goes with it.

    Raises ValueError if the status has no number or a body of application/json is not JSON, LookupError
    if the charset is unknown. Bytes that are invalid in the charset (UTF-8 by default) become U+FFFD.
    """
    code, _, phrase = status.partition(" ")
    return FrameResponse(int(code), PHRASES.get(int(code), phrase), _decode_body(content_type, body))


def make_error_response(code: int) -> FrameResponse:
    """Returns the response that has a status and no data."""
    return FrameResponse(code, PHRASES[code], None)


def parse_json(octets: bytes) -> object:
    """Returns the JSON value in UTF-8. Raises ValueError; never RecursionError, however deeply it is nested."""
    text = octets.decode()
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > NESTING_MAX and _is_too_deep(value):
        raise ValueError("nested too deeply")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError at a lone surrogate
    return value


def _is_too_deep(value: object) -> bool:
    containers: list[dict[str, object] | list[object]] = [[value]]
    for _ in range(NESTING_MAX + 1):
        children = chain.from_iterable(each.values() if isinstance(each, dict) else each for each in containers)
        containers = [child for child in children if isinstance(child, (dict, list))]
        if not containers:
            return False
    return True


def _parse_finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("out of the range of a double")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_parse_finite, parse_constant=_refuse_constant)


def _parse_path(path: object) -> tuple[str, str]:
    """Returns path and query, characters beyond ASCII escaped as by a browser. `#` does not end the path."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise BadRequestFrame
    path, _, query = path.partition("?")
    return unquote_to_bytes(path).decode("latin-1"), quote(query, safe=_VISIBLE_ASCII)


def _parse_headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, dict):
        raise BadRequestFrame
    parsed = {_parse_header_name(name): _parse_header_value(value) for name, value in headers.items()}
    if len(parsed) < len(headers):
        raise BadRequestFrame
    return parsed


def _parse_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name) or name.lower() in RESERVED_HEADERS:
        raise BadRequestFrame
    return name.lower()


def _parse_header_value(value: object) -> str:
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise BadRequestFrame
    return value.strip(" \t")


def _encode_data(data: object) -> tuple[dict[str, str], bytes]:
    """Returns the header that tells the type of a body, and the body."""
    if data is None:
        return {}, b""
    if isinstance(data, str):
        return {"content-type": "text/plain; charset=utf-8"}, data.encode()
    return {"content-type": "application/json"}, json.dumps(data, ensure_ascii=False).encode()


def _decode_body(content_type: str, body: bytes) -> object:
    if not body:
        return None
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() == "application/json":
        return parse_json(body)
    charset = _CHARSET.search(parameters)
    return body.decode(charset[1] if charset else "utf-8", "replace")
