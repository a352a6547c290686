"""Reads the fields of a post's body, as its Content-Type says.

Theory of operation. `read_fields` finds the reader for a Content-Type, decodes the body and has it read. Values stay
text, numbers of JSON included, so that one kind checks a score however it came: `1e3` is refused in JSON as it is in
plain text. Rules that keep a wrong score out:

- A reader takes less than the standards allow where two readers could find different values: no preamble in
  multipart, no base64, no field of ours twice, no JSON that `json` would not read.
- Fields that are not in FIELDS are ignored, whatever they hold: engines add their own.
- What has no form of its own, such as a missing or an unknown Content-Type, is text: the whole body is the score.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from urllib.parse import unquote, unquote_plus

from scoresvc.errors import (
    MalformedBody,
    RepeatedParameter,
    UnsupportedCharset,
    UnsupportedContentCoding,
)

FIELDS = ("score", "sessionkey")  # that are read; others are ignored

READERS_CACHED = 64

Fields = Mapping[str, str]
Reader = Callable[[str], Fields]

_BLANKS = " \t\r\n\x0b\x0c"
_JSON_INTEGER = re.compile("0|[1-9][0-9]*")
_GZIP = b"\x1f\x8b"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # of UTF-16 and UTF-32
_WIDE_CHARSET = re.compile("(utf|ucs)-?(16|32|2|4)(-?[lb]e)?")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf';[ \t]*({_TOKEN})=(?:"([^"\r\n]*)"|([^;"\s]*))[ \t]*'
_PARAMETERS = re.compile(_PARAMETER)
_FIELD = rf"\r\n({_TOKEN}):([^\x00-\x08\x0a-\x1f\x7f]*)"
_PART_FIELD = re.compile(_FIELD)
_PART_HEADER = re.compile(f"(?:{_FIELD})+")
_DISPOSITION = re.compile(rf"[ \t]*form-data[ \t]*((?:{_PARAMETER})*)", re.IGNORECASE)
_PLAIN_CODINGS = ("7bit", "8bit", "binary")


def read_fields(headers: Mapping[str, str], body: bytes) -> Fields:
    """Returns those of FIELDS that a body has, by name.

    Raises UnsupportedContentCoding, UnsupportedCharset, MalformedBody, RepeatedParameter.
    """
    if "content-encoding" in headers and headers["content-encoding"].lower() not in ("", "identity"):
        raise UnsupportedContentCoding
    read = _find_reader(headers.get("content-type", ""))
    return read(body.decode() if body.isdigit() else _decode(body))


@lru_cache(READERS_CACHED)
def _find_reader(content_type: str) -> Reader:
    media_type, semicolon, rest = content_type.partition(";")
    parameters = _read_parameters(semicolon + rest)
    if _WIDE_CHARSET.fullmatch(parameters.get("charset", "").lower()):
        return _refuse_charset
    if (name := media_type.strip().lower()) == "multipart/form-data":
        return partial(_read_multipart, parameters.get("boundary", ""))
    return _READERS.get(name, _read_text)


def _decode(body: bytes) -> str:
    """Returns the text of a body in UTF-8; other bytes become half surrogate pairs, which are in no number."""
    if body.startswith(_GZIP):
        raise UnsupportedContentCoding
    if body.startswith(_WIDE_MARKS) or (b"\0" in body and len(body) > 2 and not (any(body[::2]) and any(body[1::2]))):
        raise UnsupportedCharset  # every other byte of digits in UTF-16 is zero
    return body.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape")


def _read_text(text: str) -> Fields:
    return {"score": text}


def _read_form(text: str) -> Fields:
    """Reads application/x-www-form-urlencoded, as the URL standard has it; what has no field is the score."""
    bare = text.strip(_BLANKS).removesuffix("=")
    if "=" not in bare and "&" not in bare:
        return {"score": bare}
    return _collect(_split_form(text))


def _split_form(text: str) -> Iterable[tuple[str, str]]:
    for field in text.split("&"):
        name, _, value = field.partition("=")
        # `+` stands for a blank, and blanks around a score are allowed: but `+5` is no score in any form.
        yield unquote_plus(name), unquote(value) if name == "score" else unquote_plus(value)


def _read_multipart(boundary: str, text: str) -> Fields:
    """Reads multipart/form-data (RFC 7578), closed by its boundary; what begins with no boundary is the score."""
    text = text.strip(_BLANKS)
    if not text.startswith("--"):
        return {"score": text}
    parts = f"\r\n{text}".split(f"\r\n--{boundary}")
    if not boundary or parts[0] or parts[-1] != "--":
        raise MalformedBody("multipart/form-data")
    return _collect([_read_part(part) for part in parts[1:-1]])


def _read_part(part: str) -> tuple[str, str]:
    """Returns name and value."""
    header, end, value = part.partition("\r\n\r\n")
    fields = [(name.lower(), content) for name, content in _PART_FIELD.findall(header)]
    dispositions = [content for name, content in fields if name == "content-disposition"]
    codings = {content.strip().lower() for name, content in fields if name == "content-transfer-encoding"}
    disposition = _DISPOSITION.fullmatch(",".join(dispositions))
    if not (end and _PART_HEADER.fullmatch(header) and disposition and codings.issubset(_PLAIN_CODINGS)):
        raise MalformedBody("multipart/form-data")
    return _read_parameters(disposition[1]).get("name", ""), value


def _read_parameters(text: str) -> dict[str, str]:
    """The parameters of a header field (RFC 9110, 5.6.6) by lower-case name; of two with one name the last."""
    return {name.lower(): quoted or token for name, quoted, token in _PARAMETERS.findall(text)}


def _read_json(text: str) -> Fields:
    if _JSON_INTEGER.fullmatch(text):  # as most clients send it: this is ten times as fast
        return {"score": text}
    try:
        text.encode()  # raises where the body is not UTF-8
        value: object = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise MalformedBody("JSON") from None
    if isinstance(value, tuple):
        return _collect(value)
    return {"score": value} if isinstance(value, str) else {}


def _refuse_charset(text: str) -> Fields:
    raise UnsupportedCharset


def _collect(pairs: Iterable[tuple[str, object]]) -> Fields:
    """Returns FIELDS by name. Null in JSON is left out; any other value that is neither text nor number is empty."""
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise RepeatedParameter(name)
        if name in FIELDS:
            fields[name] = value
    return {name: _clean(value) for name, value in fields.items() if value is not None}


def _clean(value: object) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _refuse_constant(name: str) -> str:
    raise ValueError(f"{name} is not JSON")


# Numbers stay as they are written; an object becomes its pairs, which may have a name twice.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
_READERS: Mapping[str, Reader] = {"application/x-www-form-urlencoded": _read_form, "application/json": _read_json}
