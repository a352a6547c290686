"""The JSON-over-TCP protocol without I/O: bytes in, requests out; responses in, bytes out.

A request is a JSON object that ends in one NUL byte. A response is a JSON object
that ends with its connection. JSON is RFC 8259 in UTF-8, strictly:

- No byte order mark, no NaN or Infinity, no fraction or power beyond a double, such as `1e999`.
- No escape of half a surrogate pair (`"\\ud800"`): RFC 8259 lets it stand, but UTF-8 cannot carry it,
  so the application could not be given what was sent.
- Of two equal keys in an object the last one counts, and keys that the protocol does not know are ignored.
"""

from __future__ import annotations

import json
import math
import re
from http import HTTPStatus
from itertools import chain
from typing import ClassVar, NamedTuple, NoReturn
from urllib.parse import quote, unquote_to_bytes

from scoresvc.api.request import Request

METHODS = ("GET", "POST", "PUT", "DELETE")
NESTING_MAX = 500  # arrays and objects inside each other; half of Python's default recursion limit

# The standard phrases, as Python has them; before 3.13 it had these four from RFC 7231 and RFC 4918.
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}

# What speaks of the connection or of the length of the body is not the client's to say.
HOP_BY_HOP_HEADERS = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
RESERVED_HEADERS = HOP_BY_HOP_HEADERS | {"content-length", "expect"}

_PATH = re.compile(r"/[^\x00-\x20\x7f]*")
_VISIBLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))
# A token (RFC 9110, section 5.6.2) without `_`, which WSGI cannot tell from `-`.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CHARSET = re.compile(r"""charset\s*=\s*"?([^\s;"]+)""", re.IGNORECASE)


class FrameError(Exception):
    """A frame that does not become a request; `code` is the status of its response."""

    code: ClassVar[int]


class BadRequestFrame(FrameError):
    """JSON, but not the object that a request is."""

    code = 400


class FrameTooLong(FrameError):
    """More bytes than a frame may have, its NUL not counted."""

    code = 413


class NotJSON(FrameError):
    """Not JSON as the top of this file has it, or nested deeper than NESTING_MAX."""

    code = 422


class FrameResponse(NamedTuple):
    """The status code, its phrase, and any JSON value."""

    code: int
    message: str
    data: object

    def to_bytes(self) -> bytes:
        """Returns the response as it is sent."""
        return json.dumps(self._asdict()).encode("ascii")


class FrameReader:
    """Collects one frame from the segments in which it arrives, looking at each byte once."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame = bytearray()
        self._bytes_max = frame_bytes_max

    def feed(self, segment: bytes) -> bytes | None:
        """Returns the frame without its NUL, or None until it is whole. Raises FrameTooLong as soon as it is."""
        part, nul, _ = segment.partition(b"\0")
        self._frame += part
        if len(self._frame) > self._bytes_max:
            raise FrameTooLong
        return bytes(self._frame) if nul else None


def parse_request(frame: bytes, remote_address: str) -> Request:
    """Returns the request in a frame. Raises NotJSON, BadRequestFrame."""
    try:
        message = parse_json(frame)
    except ValueError:
        raise NotJSON from None
    if not isinstance(message, dict) or message.get("method") not in METHODS:
        raise BadRequestFrame
    path, query = _parse_path(message.get("path"))
    content_type, body = _write_body(message.get("data"))
    headers = content_type | _parse_headers(message.get("headers", {}))
    return Request(message["method"], path, query, headers, body, remote_address)


def make_response(status: str, content_type: str, body: bytes) -> FrameResponse:
    """Returns the response for a status line such as `200 OK` and the body that goes with it.

    Raises ValueError if the status has no number or a body of application/json is not JSON, LookupError
    if the charset is unknown. Bytes that the charset (UTF-8 if none is named) does not have become U+FFFD.
    """
    code, _, phrase = status.partition(" ")
    return FrameResponse(int(code), PHRASES.get(int(code), phrase), _parse_body(content_type, body))


def refuse(code: int) -> FrameResponse:
    """Returns the response that says nothing but its status."""
    return FrameResponse(code, PHRASES[code], None)


def parse_json(octets: bytes) -> object:
    """Returns the JSON value in UTF-8. Raises ValueError; never RecursionError, however deep it is nested."""
    text = octets.decode()
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if text.count("[") + text.count("{") > NESTING_MAX and _is_too_deep(value):
        raise ValueError("nested too deep")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError at half a surrogate pair
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
        raise ValueError("a number beyond a double")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_parse_finite, parse_constant=_refuse_constant)


def _parse_path(path: object) -> tuple[str, str]:
    """Returns path and query, characters beyond ASCII as a browser escapes them. `#` is left where it is."""
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


def _write_body(data: object) -> tuple[dict[str, str], bytes]:
    if data is None:
        return {}, b""
    if isinstance(data, str):
        return {"content-type": "text/plain; charset=utf-8"}, data.encode()
    return {"content-type": "application/json"}, json.dumps(data, ensure_ascii=False).encode()


def _parse_body(content_type: str, body: bytes) -> object:
    if not body:
        return None
    if _is_json(content_type):
        return parse_json(body)
    charset = _CHARSET.search(content_type.partition(";")[2])
    return body.decode(charset[1] if charset else "utf-8", "replace")


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
