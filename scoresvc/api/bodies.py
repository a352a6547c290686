"""Reads the fields of a body, as its Content-Type says.

Theory of operation. `read_fields` finds the reader for a Content-Type, decodes the body and has it read. Values stay
text, numbers of JSON included, so that one kind checks a score however it came: `1e3` is refused in JSON as it is in
plain text. Rules that keep a wrong score out:

- A reader takes less than the standards allow where two readers could find different values: no preamble in
  multipart, no base64, no field of ours twice, no JSON that `json` would not read.
- What has no form of its own, such as a missing or an unknown Content-Type, is text: the whole body is the score.
- Fields of a post that are not in its BodyForm are ignored, whatever they hold: engines add their own. Those of the
  operators' calls are refused: a ban with a misspelt `until` must not last for ever.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from scoresvc.errors import (
    SCORE_EXAMPLES,
    MalformedBody,
    RepeatedParameter,
    UnknownParameter,
    UnsupportedCharset,
    UnsupportedContentCoding,
)

READERS_CACHED = 64


class BodyForm(NamedTuple):
    """What a call takes from a body."""

    names: tuple[str, ...]  # of the fields that are read
    whole: str = ""  # the field that a body without fields is; empty where all bodies have fields

    @property
    def advice(self) -> str:
        return (
            SCORE_EXAMPLES if self.whole == "score" else f"send a form or a JSON object with: {', '.join(self.names)}"
        )


Fields = Mapping[str, str]
Reader = Callable[[str, BodyForm], Fields]

NO_TEXT = "\0"

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

# What a body is not, for people.
_JSON = "valid JSON, as its Content-Type says"
_MULTIPART = "valid multipart/form-data, as its Content-Type says"
_FORM = "a form or JSON, or its Content-Type does not say so"


def read_fields(headers: Mapping[str, str], body: bytes, form: BodyForm) -> Fields:
    """Returns the fields of `form` that a body has, by name.

    Raises UnsupportedContentCoding, UnsupportedCharset, MalformedBody, RepeatedParameter, UnknownParameter.
    """
    if not (body or form.whole):
        return {}
    if "content-encoding" in headers and headers["content-encoding"].lower() not in ("", "identity"):
        raise UnsupportedContentCoding
    read = _find_reader(headers.get("content-type", ""))
    return read(body.decode() if body.isdigit() else _decode(body), form)


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


def _read_text(text: str, form: BodyForm) -> Fields:
    """Reads a body without fields."""
    if not form.whole or (form.whole != "score" and text.lstrip().startswith((f"{form.whole}=", "{"))):
        raise MalformedBody(_FORM, form.advice)  # a name such as `name=Ann` is none
    return {form.whole: text}


def _read_form(text: str, form: BodyForm) -> Fields:
    """Reads application/x-www-form-urlencoded, as the URL standard has it; what has no field is the whole."""
    bare = text.strip(_BLANKS).removesuffix("=")
    if "=" not in bare and "&" not in bare:
        return _read_text(bare if form.whole == "score" else unquote(bare), form)  # digits need no escapes
    return _collect(_split_form(text), form)


def _split_form(text: str) -> Iterable[tuple[str, str]]:
    for field in text.split("&"):
        name, _, value = field.partition("=")
        # `+` stands for a blank, and blanks around a score are allowed: but `+5` is no score in any form.
        yield unquote_plus(name), unquote(value) if name == "score" else unquote_plus(value)


def _read_multipart(boundary: str, text: str, form: BodyForm) -> Fields:
    """Reads multipart/form-data (RFC 7578), closed by its boundary; what begins with no boundary is the whole."""
    text = text.strip(_BLANKS)
    if not text.startswith("--"):
        return _read_text(text, form)
    parts = f"\r\n{text}".split(f"\r\n--{boundary}")
    if not boundary or parts[0] or parts[-1] != "--":
        raise MalformedBody(_MULTIPART, form.advice)
    return _collect([_read_part(part, form) for part in parts[1:-1]], form)


def _read_part(part: str, form: BodyForm) -> tuple[str, str]:
    """Returns name and value."""
    header, end, value = part.partition("\r\n\r\n")
    fields = [(name.lower(), content) for name, content in _PART_FIELD.findall(header)]
    dispositions = [content for name, content in fields if name == "content-disposition"]
    codings = {content.strip().lower() for name, content in fields if name == "content-transfer-encoding"}
    disposition = _DISPOSITION.fullmatch(",".join(dispositions))
    if not (end and _PART_HEADER.fullmatch(header) and disposition and codings.issubset(_PLAIN_CODINGS)):
        raise MalformedBody(_MULTIPART, form.advice)
    return _read_parameters(disposition[1]).get("name", ""), value


def _read_parameters(text: str) -> dict[str, str]:
    """The parameters of a header field (RFC 9110, 5.6.6) by lower-case name; of two with one name the last."""
    return {name.lower(): quoted or token for name, quoted, token in _PARAMETERS.findall(text)}


def _read_json(text: str, form: BodyForm) -> Fields:
    if form.whole and _JSON_INTEGER.fullmatch(text):  # as most clients send it: this is ten times as fast
        return {form.whole: text}
    try:
        text.encode()  # raises where the body is not UTF-8
        value: object = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise MalformedBody(_JSON, form.advice) from None
    if isinstance(value, tuple):
        return _collect(value, form)
    if not form.whole and value is not None:
        raise MalformedBody(_JSON, form.advice)
    return {form.whole: value} if isinstance(value, str) else {}


def _refuse_charset(text: str, form: BodyForm) -> Fields:
    raise UnsupportedCharset


def _collect(pairs: Iterable[tuple[str, object]], form: BodyForm) -> Fields:
    """Returns the fields of a form by name."""
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise RepeatedParameter(name)
        if name in form.names:
            fields[name] = value
        elif not form.whole:
            raise UnknownParameter(form.names, "body")
    if form.whole:
        return {name: _clean(value) for name, value in fields.items() if value is not None}
    return {name: _write_value(value, form) for name, value in fields.items()}


def _clean(value: object) -> str:
    """Returns a text or a number of JSON as text; what is none, or has half a character, no kind of parameter takes."""
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if isinstance(value, str) else NO_TEXT


def _write_value(value: object, form: BodyForm) -> str:
    """Returns a value of JSON as it would be in a form: `yes` for true, nothing for null, commas in a list."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _clean(",".join(value) or "none")
    if value is not None and not isinstance(value, str | bool):
        raise MalformedBody(_JSON, form.advice)
    return _clean(_WORDS.get(value, value))


def _refuse_constant(name: str) -> str:
    raise ValueError(f"{name} is not JSON")


# Numbers stay as they are written; an object becomes its pairs, which may have a name twice.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
_WORDS: Mapping[object, str] = {True: "yes", False: "no", None: ""}
_READERS: Mapping[str, Reader] = {"application/x-www-form-urlencoded": _read_form, "application/json": _read_json}
