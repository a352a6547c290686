"""What a client sent, read by name and checked where it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from scoresvc.errors import (
    BODY_BYTES_MAX,
    COUNT_MAX,
    UINT31_MAX,
    BadContentLength,
    BadCount,
    BadNumber,
    BadUsers,
    BodyCutShort,
    BodyTooLarge,
    RepeatedParameter,
    Unauthorized,
    UnknownParameter,
)

Environ = dict[str, Any]

COUNT_DEFAULT = 15  # entries in one answer
NUMBERS_KEPT = 4096  # of paths, whose value is remembered
QUERIES_KEPT = 4096  # whose meaning is remembered
QUERY_CHARACTERS_KEPT = 100  # the longest of them

_DIGITS = re.compile("[0-9]+")
_NUMBER = re.compile("[0-9]{1,10}")


class Request:
    """One call: `environ` as the server gave it, `numbers` the digits in its path by name.

    `parameters` are the names that the call takes in its query.
    """

    def __init__(self, environ: Environ, numbers: Mapping[str, str], parameters: tuple[str, ...]) -> None:
        self._environ = environ
        self._numbers = numbers
        self._known = parameters

    def path_uint31(self, name: str) -> int:
        """Returns a number of the path, 0 to 2147483647. Raises BadNumber."""
        return _uint31_and_keep(name, self._numbers[name])

    def parameters(self) -> Mapping[str, str]:
        """Returns what the query says, by name. Raises UnknownParameter or RepeatedParameter."""
        query = self._environ.get("QUERY_STRING", "")
        read = _read_and_keep if len(query) <= QUERY_CHARACTERS_KEPT else _read_query
        return read(query, self._known) if query else {}

    def count(self, name: str) -> int:
        """Returns a number of the query, 1 to 1000, 15 where it is not given. Raises BadCount."""
        text = self.parameters().get(name, str(COUNT_DEFAULT))
        if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= COUNT_MAX:
            raise BadCount(name)
        return int(text)

    def users(self) -> list[int]:
        """Returns the users of the query, 1 to 1000 numbers. Raises BadUsers."""
        texts = self.parameters()["users"].split(",", COUNT_MAX)
        if len(texts) > COUNT_MAX:
            raise BadUsers
        try:
            return [_uint31("users", text) for text in texts]
        except BadNumber:
            raise BadUsers from None

    def body_uint31(self, name: str) -> int:
        """Returns the number that the body is, 0 to 2147483647; white space around it is allowed.

        Raises BadNumber, BodyTooLarge, BodyCutShort or BadContentLength.
        """
        return _uint31(name, self._body().strip().decode("latin-1"))

    def session_key(self) -> str:
        """Returns the key from `?sessionkey=` or `Authorization: Bearer`.

        Raises Unauthorized, RepeatedParameter or UnknownParameter.
        """
        parameters = self.parameters()
        scheme, _, credentials = self._environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else ""
        # Servers join a header that comes twice with a comma, which no key has.
        if "," in bearer or (bearer and "sessionkey" in parameters):
            raise RepeatedParameter("the session key")
        key = bearer or parameters.get("sessionkey", "")
        if not key:
            raise Unauthorized
        return key

    def _body(self) -> bytes:
        """Returns the whole body or none of it: half a score is a score, too."""
        length = body_length(self._environ)
        try:
            body: bytes = self._environ["wsgi.input"].read(length)
        except OSError:
            raise BodyCutShort from None
        if len(body) < length:
            raise BodyCutShort
        return body


def body_length(environ: Environ) -> int:
    """Returns how long the body is said to be, 0 to 1024 bytes. Raises BadContentLength or BodyTooLarge."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in environ or not _DIGITS.fullmatch(length):
        raise BadContentLength
    if not _NUMBER.fullmatch(length) or (count := int(length)) > BODY_BYTES_MAX:
        raise BodyTooLarge
    return count


def _uint31(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text) or (number := int(text)) > UINT31_MAX:
        raise BadNumber(name)
    return number


_uint31_and_keep = lru_cache(NUMBERS_KEPT)(_uint31)


def _read_query(query: str, known: Collection[str]) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise UnknownParameter(known)
        if name in parameters:
            raise RepeatedParameter(name)
        parameters[name] = value
    return parameters


_read_and_keep = lru_cache(QUERIES_KEPT)(_read_query)
