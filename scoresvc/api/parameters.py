"""What a client may send: each parameter reads its value, refuses what is wrong, and describes itself.

A parameter stands in the table of calls. `read` takes it from what was sent with a request, checked: behind
it, values are valid and nothing checks them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scoresvc.api import kinds
from scoresvc.api.kinds import COUNT, CURSOR, PERIOD_KIND, PERIOD_NAME, UINT31, USER_LIST, YES_NO, Kind, Refusals
from scoresvc.api.sent import Sent, read_once
from scoresvc.errors import (
    BadContentLength,
    BadFormat,
    BodyCutShort,
    BodyTooLarge,
    ConflictingParameters,
    MalformedBody,
    RepeatedParameter,
    Unauthorized,
    UnsupportedCharset,
    UnsupportedContentCoding,
)
from scoresvc.limits import COUNT_DEFAULT, COUNT_MAX, META_BYTES_MAX, NAME_CHARACTERS_MAX
from scoresvc.periods import WISH_ALL

BODY_REFUSALS = (
    BodyTooLarge,
    BodyCutShort,
    BadContentLength,
    MalformedBody,
    UnsupportedCharset,
    UnsupportedContentCoding,
)


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
    """A parameter of the query, `default` where it is not sent; refused together with one of `excludes`."""

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    excludes: tuple[str, ...] = ()

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

    @property
    def argument(self) -> str:
        return self.name

    @property
    def refuses(self) -> Refusals:
        return (*self.kind.refuses, RepeatedParameter, *BODY_REFUSALS)

    def read(self, sent: Sent) -> Any:
        return self.kind.read(self.name, sent.read_body().get(self.name, ""))


@dataclass(frozen=True)
class TextParameter:
    """A parameter of the query, or among the other fields of a body that the call reads; None where it is empty."""

    name: str
    kind: Kind
    meaning: str

    @property
    def argument(self) -> str:
        return self.name

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def refuses(self) -> Refusals:
        return (*self.kind.refuses, RepeatedParameter)

    def read(self, sent: Sent) -> Any:
        text = read_once(self.name, sent.query, sent.fields)
        return self.kind.read(self.name, text) if text else None


@dataclass(frozen=True)
class TextBodyParameter(TextParameter):
    """The same, which may also be the whole body."""

    @property
    def refuses(self) -> Refusals:
        return (*super().refuses, *BODY_REFUSALS)

    def read(self, sent: Sent) -> Any:
        text = sent.read_body().get(self.name) or None  # an empty body is none
        if text is not None and self.name in sent.query:
            raise RepeatedParameter(self.name)
        text = text or sent.query.get(self.name)
        return self.kind.read(self.name, text) if text else None


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


@dataclass(frozen=True)
class PostKeyParameter(TextParameter):
    """The idempotency key from the header `Idempotency-Key`, the query or the body, but from one only.

    The header may have it in quotes, as draft-ietf-httpapi-idempotency-key-header says.
    """

    @property
    def argument(self) -> str:
        return "post_key"

    def read(self, sent: Sent) -> Any:
        header = sent.request.headers.get("idempotency-key")
        text = read_once(self.name, sent.query, sent.fields)
        if header is not None and text is not None:
            raise RepeatedParameter("the idempotency key")
        if header is not None:
            text = header[1:-1] if header[:1] == header[-1:] == '"' else header
        return None if text is None else self.kind.read("Idempotency-Key" if header is not None else self.name, text)


@dataclass(frozen=True)
class SecretParameter:
    """The secret of a user from the query or `Authorization: Bearer` (RFC 6750), but from one only."""

    name: str
    meaning: str

    argument: ClassVar[str] = "secret"
    refuses: ClassVar[Refusals] = (RepeatedParameter,)

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, sent: Sent) -> str | None:
        bearer, secret = read_bearer(sent.request.headers), sent.query.get(self.name)
        if bearer and (secret is not None or "," in bearer):
            raise RepeatedParameter("the secret")
        return bearer or secret


@dataclass(frozen=True)
class FormatParameter:
    """Chooses the form of a list; the handler does not get it."""

    name: str
    meaning: str

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


PlayerParameter = (
    PathParameter | QueryParameter | BodyParameter | TextParameter | SessionKeyParameter | SecretParameter
    | FormatParameter
)  # fmt: skip

LEVEL = PathParameter("levelid", "level_id", UINT31, "the level")
USER = PathParameter("userid", "user_id", UINT31, "the user")
SCORE = BodyParameter("score", kinds.SCORE, "the body is the score, or a form or JSON with `score`")
SCORE_IN_PATH = PathParameter("score", "score", UINT31, "the score")
FORMAT = FormatParameter("format", "`lines`: a line for each entry, rank, user, score, name with tabs between them")
SESSION_KEY = SessionKeyParameter(
    "sessionkey", "the key of a login; or in that form or JSON; or `Authorization: Bearer`"
)
SECRET = SecretParameter("secret", "the secret of a user who has one; or `Authorization: Bearer`")
NAME = BodyParameter("name", kinds.NAME, f"the body is the name, 1 to {NAME_CHARACTERS_MAX} characters")
NEW_NAME = TextBodyParameter("name", kinds.NAME, "a name for the user, in the query, a form or JSON")
NAME_TOO = TextParameter("name", kinds.NAME, "a name for the user, at the same time")
META = TextParameter("meta", kinds.META, f"a text that stays with the score, at most {META_BYTES_MAX} bytes")
POST_KEY = PostKeyParameter(
    "id", kinds.IDEMPOTENCY_KEY, "or the header `Idempotency-Key`: the post counts once, however often it is sent"
)
WITH_META = QueryParameter("meta", YES_NO, "`yes`: with what was sent with the scores, in JSON", False)
LIMIT = QueryParameter("limit", COUNT, f"entries, 1 to {COUNT_MAX}; {COUNT_DEFAULT} if left out", COUNT_DEFAULT)
LEVEL_LIMIT = QueryParameter("limit", COUNT, f"levels, 1 to {COUNT_MAX}; {COUNT_MAX} if left out", COUNT_MAX)
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
)
KIND_OF_PERIODS = QueryParameter("kind", PERIOD_KIND, "`day`, `week` or `month`; `day` if left out", "day")
