"""What a client sent with a request: the query and the body, each read once."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote_plus

from scoresvc.api.bodies import BodyForm, Fields, read_fields
from scoresvc.api.request import Request
from scoresvc.errors import (
    BodyTooLarge,
    BracketedParameter,
    ConflictingParameters,
    Refusal,
    RepeatedParameter,
    UnknownParameter,
)
from scoresvc.limits import BODY_BYTES_MAX

QUERIES_CACHED = 4096  # of each call
QUERY_CHARACTERS_CACHED_MAX = 100
LIST_EXAMPLE = "{}=1,2"

NO_FIELDS: Fields = MappingProxyType({})


class Sent:
    """What a client sent with a request: all that the parameters of a call read."""

    __slots__ = ("_body_form", "_query", "_query_reader", "fields", "request")

    def __init__(self, request: Request, query_reader: QueryReader, body_form: BodyForm) -> None:
        self.request = request
        self.fields = NO_FIELDS  # of the body, once a parameter that is in it has been read
        self._query_reader = query_reader
        self._body_form = body_form
        self._query: Mapping[str, str] | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """Each parameter of the query by name, once. Raises as QueryReader.read.

        It is read when the first parameter asks for it: what stands before that in a call's `takes` is refused first.
        """
        if self._query is None:  # a cached_property has a lock before Python 3.12, for which all threads would queue
            self._query = self._query_reader.read(self.request.query)
        return self._query

    def read_body(self) -> Fields:
        """Returns the fields of the body. Raises what an adapter refuses a body for, and what `read_fields` raises."""
        if self.fields is not NO_FIELDS:
            return self.fields
        request = self.request
        body = request.body
        if isinstance(body, Refusal):
            raise body
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLarge
        self.fields = fields = read_fields(request.headers, body, self._body_form)
        return fields


class QueryReader:
    """Reads the queries of one call, which takes `names`, of them none of `exclusions` beside its key.

    `lists` are those names that take a list. A name that begins with `_` is ignored on every call: game engines and
    JavaScript libraries add one with a number that is never the same, so that no cache answers.
    """

    def __init__(
        self, names: tuple[str, ...], exclusions: Mapping[str, tuple[str, ...]], lists: Container[str]
    ) -> None:
        self._names = names
        self._exclusions = exclusions
        self._lists = lists
        self._read_cached = lru_cache(QUERIES_CACHED)(self._read)

    def read(self, query: str) -> Mapping[str, str]:
        """Raises UnknownParameter, BracketedParameter, RepeatedParameter, ConflictingParameters."""
        return self._read_cached(query) if len(query) <= QUERY_CHARACTERS_CACHED_MAX else self._read(query)

    def _read(self, query: str) -> Mapping[str, str]:
        parameters: dict[str, str] = {}
        for field in query.split("&"):
            name, _, value = (unquote_plus(part) for part in field.partition("="))
            if not field or name.startswith("_"):
                continue
            if name not in self._names:
                raise self._refuse(name)
            if name in parameters:
                raise RepeatedParameter(name, LIST_EXAMPLE.format(name) if name in self._lists else "")
            parameters[name] = value
        for name, others in self._exclusions.items():
            if name in parameters and not parameters.keys().isdisjoint(others):
                raise ConflictingParameters(name, others)
        return parameters

    def _refuse(self, name: str) -> Refusal:
        list_name, bracket, _ = name.partition("[")
        if bracket and list_name in self._lists:
            return BracketedParameter(list_name, LIST_EXAMPLE.format(list_name))
        return UnknownParameter(self._names)


def read_once(name: str, query: Mapping[str, str], fields: Mapping[str, str]) -> str | None:
    """Returns a parameter that is in the query or in the body. Raises RepeatedParameter where it is in both."""
    if name in query and name in fields:
        raise RepeatedParameter(name)
    return query.get(name, fields.get(name))
