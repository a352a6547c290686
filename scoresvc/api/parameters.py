"""What a client may send: each parameter reads its value, refuses what is wrong, and describes itself.

A parameter stands in the table of calls. `read` takes it from what was sent with a request, checked: behind
it, values are valid and nothing checks them again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from scoresvc.api import kinds
from scoresvc.api.bodies import BodyForm, Fields, read_fields
from scoresvc.api.kinds import COUNT, CURSOR, PERIOD_KIND, PERIOD_NAME, UINT31, USER_LIST, Kind, Refusals
from scoresvc.api.request import Request
from scoresvc.errors import (
    BadContentLength,
    BadFormat,
    BodyCutShort,
    BodyTooLarge,
    BracketedParameter,
    ConflictingParameters,
    MalformedBody,
    Refusal,
    RepeatedParameter,
    Unauthorized,
    UnknownParameter,
    UnsupportedCharset,
    UnsupportedContentCoding,
)
from scoresvc.limits import BODY_BYTES_MAX, COUNT_DEFAULT, COUNT_MAX
from scoresvc.periods import WISH_ALL

QUERIES_CACHED = 4096  # of each call
QUERY_CHARACTERS_CACHED_MAX = 100
LIST_EXAMPLE = "{}=1,2"

NO_FIELDS: Fields = MappingProxyType({})

BODY_REFUSALS = (
    BodyTooLarge,
    BodyCutShort,
    BadContentLength,
    MalformedBody,
    UnsupportedCharset,
    UnsupportedContentCoding,
)


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
        """Returns the fields of the body. Raises BODY_REFUSALS, and what `read_fields` raises."""
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


@dataclass(frozen=True)
class PathParameter:
    """A number in a path; the router finds it, `argument` is its name in the handler."""

    name: str
    argument: str
    kind: Kind
    meaning: str

    @property
    def refuses(self) -> Refusals:
        return self.kind.refuses


@dataclass(frozen=True)
class QueryParameter:
    """A parameter of the query, `default` where it is not sent; refused together with one of `excludes`.

    `scales` says that the client chooses with it how much is read.
    """

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    excludes: tuple[str, ...] = ()
    scales: bool = True

    @property
    def argument(self) -> str:
        return self.name

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def takes_list(self) -> bool:
        return bool(self.kind.schema["type"] == "array")

    @property
    def refuses(self) -> Refusals:
        return (*self.kind.refuses, ConflictingParameters) if self.excludes else self.kind.refuses

    def read(self, sent: Sent) -> Any:
        text = sent.query.get(self.name)
        return self.default if text is None else self.kind.read(self.name, text)


@dataclass(frozen=True)
class BodyParameter:
    """A field of the body, or the whole body; the other fields are left in `Sent.fields`."""

    name: str
    kind: Kind
    meaning: str

    query_names: ClassVar[tuple[str, ...]] = ()
    scales: ClassVar[bool] = False

    @property
    def argument(self) -> str:
        return self.name

    @property
    def refuses(self) -> Refusals:
        return (*self.kind.refuses, RepeatedParameter, *BODY_REFUSALS)

    def read(self, sent: Sent) -> Any:
        return self.kind.read(self.name, sent.read_body().get(self.name, ""))


def read_bearer(headers: Mapping[str, str]) -> str:
    """Returns the credentials in `Authorization: Bearer` (RFC 6750), empty where there are none."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class SessionKeyParameter:
    """The session key from the query, the body or `Authorization: Bearer` (RFC 6750), but from one only."""

    name: str
    meaning: str

    argument: ClassVar[str] = "session_key"
    scales: ClassVar[bool] = False
    refuses: ClassVar[Refusals] = (Unauthorized,)

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, sent: Sent) -> str:
        bearer = read_bearer(sent.request.headers)
        key, in_body = sent.query.get(self.name), sent.fields.get(self.name)
        if bearer or in_body is not None:
            # A header that comes twice is joined with a comma, which no key has.
            if key is not None or (bearer and in_body is not None) or "," in bearer:
                raise RepeatedParameter("the session key")
            key = bearer or in_body
        if not key:
            raise Unauthorized
        return key


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


@dataclass(frozen=True)
class FormatParameter:
    """Chooses the form of a list; the handler does not get it."""

    name: str
    meaning: str

    scales: ClassVar[bool] = False
    refuses: ClassVar[Refusals] = (BadFormat,)

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    def is_given(self, query: Mapping[str, str]) -> bool:
        """Returns whether lines are asked for. Raises BadFormat."""
        word = query.get(self.name)
        if word not in (None, "lines"):
            raise BadFormat
        return word is not None


PlayerParameter = PathParameter | QueryParameter | BodyParameter | SessionKeyParameter | FormatParameter

LEVEL = PathParameter("levelid", "level_id", UINT31, "the level")
USER = PathParameter("userid", "user_id", UINT31, "the user")
SCORE = BodyParameter("score", kinds.SCORE, "the body is the score, or a form or JSON with `score`")
SCORE_IN_PATH = PathParameter("score", "score", UINT31, "the score")
FORMAT = FormatParameter("format", "`lines`: a line for each entry, rank, user, score, name with tabs between them")
SESSION_KEY = SessionKeyParameter(
    "sessionkey", "the key of a login; or in that form or JSON; or `Authorization: Bearer`"
)
LIMIT = QueryParameter("limit", COUNT, f"entries, 1 to {COUNT_MAX}; {COUNT_DEFAULT} if left out", COUNT_DEFAULT)
AFTER = QueryParameter("after", CURSOR, "the `next` of the page before, from its JSON")
USERS = QueryParameter(
    "users", USER_LIST, f"these only, at most {COUNT_MAX} with commas between them", excludes=("limit", "after")
)
NEIGHBOUR_COUNT = QueryParameter(
    "count", COUNT, f"entries, 1 to {COUNT_MAX}; {COUNT_DEFAULT} if left out", COUNT_DEFAULT
)
PERIOD = QueryParameter(
    "period",
    PERIOD_NAME,
    "`day`, `week-1`, `2026-11`, …; `all` if left out",
    WISH_ALL,
    scales=False,
)
KIND_OF_PERIODS = QueryParameter(
    "kind", PERIOD_KIND, "`day`, `week` or `month`; `day` if left out", "day", scales=False
)
