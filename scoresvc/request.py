"""What a client sent, read by name and checked where it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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

_DIGITS = re.compile("[0-9]+")
_NUMBER = re.compile("[0-9]{1,10}")


class Request:
    """One call: `environ` as the server gave it, `numbers` the digits in its path by name.

    `parameters` are the names that the call takes in its query.
    """

    def __init__(self, environ: Environ, numbers: Mapping[str, str], parameters: Collection[str]) -> None:
        self._environ = environ
        self._numbers = numbers
        self._known = parameters

    def path_uint31(self, name: str) -> int:
        """Returns a number of the path, 0 to 2147483647. Raises BadNumber."""
        return _uint31(name, self._numbers[name])

    def parameters(self) -> dict[str, str]:
        """Returns what the query says, by name. Raises UnknownParameter or RepeatedParameter."""
        query = self._environ.get("QUERY_STRING", "")
        return _read_query(query, self._known) if query else {}

    def count(self, name: str) -> int:
        """Returns a number of the query, 1 to 1000, 15 where it is not given. Raises BadCount."""
        text = self.parameters().get(name, str(COUNT_DEFAULT))
        if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= COUNT_MAX:
            raise BadCount(name)
        return int(text)

    def users(self) -> list[int]:
        """Returns the users of the query, 1 to 1000 numbers. Raises BadUsers."""
        texts = self.parameters()["users"].split(",", COUNT_MAX)
        if len(texts) > COUNT_MAX or not all(map(_is_uint31, texts)):
            raise BadUsers
        return [int(text) for text in texts]

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
        length = self._environ.get("CONTENT_LENGTH") or "0"
        if "HTTP_TRANSFER_ENCODING" in self._environ or not _DIGITS.fullmatch(length):
            raise BadContentLength
        if not _NUMBER.fullmatch(length) or int(length) > BODY_BYTES_MAX:
            raise BodyTooLarge
        try:
            body: bytes = self._environ["wsgi.input"].read(int(length))
        except OSError:
            raise BodyCutShort from None
        if len(body) < int(length):
            raise BodyCutShort
        return body


def _uint31(name: str, text: str) -> int:
    if not _is_uint31(text):
        raise BadNumber(name)
    return int(text)


def _is_uint31(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and int(text) <= UINT31_MAX


def _read_query(query: str, known: Collection[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise UnknownParameter(known)
        if name in parameters:
            raise RepeatedParameter(name)
        parameters[name] = value
    return parameters
