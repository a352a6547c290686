"""What the service is asked and what it answers, whatever the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from scoresvc.errors import Refusal


class Headers:
    """Header fields, made once and used for many responses: so they are looked up by their identity, which is cheap."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, its text as PEP 3333 has it: each character stands for one byte."""

    method: str
    path: str  # percent-escapes decoded
    query: str  # without the question mark, percent-escapes kept
    headers: Mapping[str, str]  # by lower-case name; the values of a repeated header are joined by commas
    body: bytes | Refusal  # the whole body, or why it could not be read: the call that needs it raises that
    remote_address: str


class Response(msgspec.Struct, frozen=True, gc=False):
    status: str  # code and phrase, such as "200 OK"
    headers: Headers
    body: bytes
    etag: str = ""  # RFC 9110, 8.8.3, with its quotes; a field of the header, but another one for each body


class Pending(Protocol):
    """A response that waits for the commit of a write; its methods are those of `concurrent.futures.Future`."""

    def result(self) -> Response:
        """Waits for the response; never raises."""

    def add_done_callback(self, callback: Callable[[Pending], object]) -> None:
        """Has `callback` called with this object when `result` no longer waits: by the writer's thread, or at once."""
