"""The refusals of the calls: one class, one code word, one status, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from scoresvc.limits import BODY_BYTES_MAX, COUNT_MAX, INT64_MAX, UINT31_MAX

SCORE_EXAMPLES = 'send 1500 alone, a form with score=1500, or JSON such as {"score": 1500}'


class Refusal(Exception):
    """A request that is refused; `str()` of it is the one line for the client.

    `status` is the HTTP status line, `code` the word for programs, `headers` what
    the response carries besides its usual headers. The docstring of each class says when
    it comes; the README's table is made of them.
    """

    status: ClassVar[str]
    code: ClassVar[str]
    headers: tuple[tuple[str, str], ...] = ()


class BadNumber(Refusal):
    """A user, a level or a score is not a whole number from 0 to 2147483647 in decimal digits."""

    status = "400 Bad Request"
    code = "bad_number"
    largest: ClassVar[int] = UINT31_MAX
    digits: ClassVar[str] = "ten"
    advice: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} must be a whole number from 0 to {self.largest}, in at most {self.digits} decimal digits"
            f"{self.advice}"
        )


class BadScore(BadNumber):
    """The score that was posted is no such number, however it was sent."""

    advice = f"; {SCORE_EXAMPLES}"


class BadRowNumber(BadNumber):
    """The number of a submission or of an action is too large."""

    largest = INT64_MAX
    digits = "19"


class BadValue(Refusal):
    """A parameter has a value that it cannot have; the sentence says what would be right."""

    status = "400 Bad Request"
    code = "bad_value"

    def __init__(self, name: str, advice: str) -> None:
        super().__init__(f"{name} {advice}")


class BadCount(Refusal):
    """`limit` or `count` is not a whole number from 1 to 1000."""

    status = "400 Bad Request"
    code = "bad_count"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a whole number from 1 to {COUNT_MAX}")


class BadUsers(Refusal):
    """`users` is not a list of at most 1000 users with commas between them."""

    status = "400 Bad Request"
    code = "bad_users"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} must be at most {COUNT_MAX} integers from 0 to {UINT31_MAX} without a fraction,"
            f" with commas between them, such as {name}=1,2"
        )


class BadCursor(Refusal):
    """`after` is not the `next` of an answer about this level."""

    status = "400 Bad Request"
    code = "bad_cursor"

    def __init__(self) -> None:
        super().__init__("after must be the next of an earlier answer about the same level")


class UnknownParameter(Refusal):
    """The query, or the body of an operator's call, has a parameter that the call does not take."""

    status = "400 Bad Request"
    code = "unknown_parameter"

    def __init__(self, known: Sequence[str], place: str = "query") -> None:
        names = ", ".join(known) or "none"
        super().__init__(f"the {place} has a parameter that this call does not take; it takes: {names}")


class RepeatedParameter(Refusal):
    """A parameter, or the session key, comes more than once."""

    status = "400 Bad Request"
    code = "repeated_parameter"

    def __init__(self, name: str, example: str = "") -> None:
        super().__init__(f"{name} is given more than once; give it once{example and ', such as '}{example}")


class BracketedParameter(Refusal):
    """The name of a list has brackets, as in `users[]=1`."""

    status = "400 Bad Request"
    code = "bracketed_parameter"

    def __init__(self, name: str, example: str) -> None:
        super().__init__(f"{name} takes no brackets; give it once, such as {example}")


class ConflictingParameters(Refusal):
    """Two parameters exclude each other."""

    status = "400 Bad Request"
    code = "conflicting_parameters"

    def __init__(self, name: str, others: Sequence[str]) -> None:
        super().__init__(f"{name} cannot be combined with {' or '.join(others)}; send {name} alone")


class BodyCutShort(Refusal):
    """The body broke off before its end."""

    status = "400 Bad Request"
    code = "body_cut_short"

    def __init__(self) -> None:
        super().__init__("the body did not arrive whole; send as many bytes as Content-Length says")


class MalformedBody(Refusal):
    """The body is not the JSON or the form that its Content-Type says, or has no form that the call takes."""

    status = "400 Bad Request"
    code = "malformed_body"

    def __init__(self, form: str, advice: str) -> None:
        super().__init__(f"the body is not {form}; {advice}")


class BadContentLength(Refusal):
    """Nobody can tell how long the body is."""

    status = "400 Bad Request"
    code = "bad_content_length"

    def __init__(self) -> None:
        super().__init__("the length of the body must be known; send Content-Length in decimal digits")


class Unauthorized(Refusal):
    """The session key is missing, unknown or expired: log in again."""

    status = "401 Unauthorized"
    code = "unauthorized"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("a valid session key is needed, in ?sessionkey= or Authorization: Bearer; log in again")


class BadFormat(Refusal):
    """`format` is not a form that the list has."""

    status = "400 Bad Request"
    code = "bad_format"

    def __init__(self) -> None:
        super().__init__("format must be lines; leave it out for the other forms")


class UnknownPath(Refusal):
    """There is no such path."""

    status = "404 Not Found"
    code = "not_found"

    def __init__(self, paths: Sequence[str]) -> None:
        *others, last = paths
        super().__init__(f"no such path; there are {', '.join(others)} and {last}")


class FractionInPath(Refusal):
    """A user or a level in the path has a fraction, such as `2.0`."""

    status = "404 Not Found"
    code = "fraction_in_path"

    def __init__(self, meaning: str, example: str) -> None:
        super().__init__(f"{meaning} must be an integer without a fraction, such as {example}")


class NoScore(Refusal):
    """The user has no score on the level, so no rank either."""

    status = "404 Not Found"
    code = "no_score"

    def __init__(self) -> None:
        super().__init__("this user has no score on this level yet")


class MethodNotAllowed(Refusal):
    """The path takes another method; `Allow` lists them."""

    status = "405 Method Not Allowed"
    code = "method_not_allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"this path takes another method: {methods}")
        self.headers = (("Allow", methods),)


class BodyTooLarge(Refusal):
    """The body is longer than 1 KiB."""

    status = "413 Request Entity Too Large"
    code = "body_too_large"

    def __init__(self) -> None:
        super().__init__(f"the body must have at most {BODY_BYTES_MAX} bytes")


class UnsupportedCharset(Refusal):
    """The body is in UTF-16 or UTF-32."""

    status = "415 Unsupported Media Type"
    code = "unsupported_charset"

    def __init__(self) -> None:
        super().__init__("the body is in UTF-16 or UTF-32; send it in UTF-8")


class UnsupportedContentCoding(Refusal):
    """The body is compressed."""

    status = "415 Unsupported Media Type"
    code = "unsupported_content_coding"
    headers = (("Accept-Encoding", "identity"),)  # RFC 7694

    def __init__(self) -> None:
        super().__init__("the body must not be compressed; send it as it is, without Content-Encoding")


class MetricsNotPublic(Refusal):
    """The metrics are not for everyone."""

    status = "401 Unauthorized"
    code = "metrics_not_public"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__(
            "the metrics are not public; send a token with the right metrics in Authorization: Bearer, or set"
            " public = yes under [metrics]"
        )


class BadPeriod(Refusal):
    """`period` is no period, has no such date, is in the future or before 1970."""

    status = "400 Bad Request"
    code = "bad_period"

    def __init__(self) -> None:
        super().__init__(
            "period must be all, day, week, month, one of these before now such as day-1, or a name such as 2026-11-25,"
            " 2026-W48 or 2026-11, from 1970 to now"
        )


class NoSuchPeriod(Refusal):
    """The level does not keep periods of this kind."""

    status = "404 Not Found"
    code = "no_such_period"

    def __init__(self, kind: str) -> None:
        super().__init__(f"this level has no boards by {kind}; its settings say which it has")


class BadSetting(Refusal):
    """A setting of a level has no such name or value."""

    status = "400 Bad Request"
    code = "bad_setting"

    def __init__(self, name: str, advice: str) -> None:
        super().__init__(f"{name} {advice}")


class HasScores(Refusal):
    """`order` or `keep` of a level with scores is to be changed without `rebuild=yes`."""

    status = "409 Conflict"
    code = "has_scores"

    def __init__(self) -> None:
        super().__init__(
            "the level has scores; with rebuild=yes they are ranked anew, from the submissions that are kept"
        )


class OutOfBounds(Refusal):
    """The score is below `min` or above `max` of the level."""

    status = "422 Unprocessable Entity"
    code = "out_of_bounds"

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__(f"a score of this level must be from {lowest} to {highest}")


class TooFast(Refusal):
    """The score is higher than the level's `pace` allows so soon after the login."""

    status = "422 Unprocessable Entity"
    code = "too_fast"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"this score needs {seconds} seconds from the login on")


class ServerOnly(Refusal):
    """Only the game's own server may post to the level."""

    status = "403 Forbidden"
    code = "server_only"

    def __init__(self) -> None:
        super().__init__("only the game's own server posts to this level")


class Banned(Refusal):
    """The user is banned."""

    status = "403 Forbidden"
    code = "banned"

    def __init__(self) -> None:
        super().__init__("this user is banned")


class TokenNeeded(Refusal):
    """A call under /admin without a valid token."""

    status = "401 Unauthorized"
    code = "token_needed"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("a valid token is needed, in Authorization: Bearer; scoresvc token add makes one")


class NotAllowed(Refusal):
    """The token lacks the right that the call takes, or is not for all that the call touches."""

    status = "403 Forbidden"
    code = "not_allowed"

    def __init__(self, right: str) -> None:
        super().__init__(
            f"this token does not allow it; it takes the right {right} for the level, or for all levels where the call"
            " is not of one"
        )


class NoSuchSubmission(Refusal):
    """There is no submission of this number."""

    status = "404 Not Found"
    code = "no_such_submission"

    def __init__(self) -> None:
        super().__init__("there is no submission of this number")


class NoSuchAction(Refusal):
    """There is no action of this number."""

    status = "404 Not Found"
    code = "no_such_action"

    def __init__(self) -> None:
        super().__init__("there is no action of this number")


class NoSuchToken(Refusal):
    """There is no token of this name."""

    status = "404 Not Found"
    code = "no_such_token"

    def __init__(self) -> None:
        super().__init__("there is no token of this name; scoresvc token list shows them")


class TokenExists(Refusal):
    """There is a token of this name already."""

    status = "409 Conflict"
    code = "token_exists"

    def __init__(self) -> None:
        super().__init__("there is a token of this name already; end it first, or take another name")


class Superseded(Refusal):
    """A later action changed the same."""

    status = "409 Conflict"
    code = "superseded"

    def __init__(self) -> None:
        super().__init__("a later action has changed the same; undo that one first")


class NotUndoable(Refusal):
    """The action cannot be undone: what it took is gone."""

    status = "410 Gone"
    code = "gone"

    def __init__(self) -> None:
        super().__init__("this action cannot be undone; nothing is kept of what it erased")


class NotReady(Refusal):
    """The service cannot do its work now; the sentence says why."""

    status = "503 Service Unavailable"
    code = "not_ready"
    headers = (("Retry-After", "5"),)

    def __init__(self, reason: str) -> None:
        super().__init__(f"not ready: {reason}")


class InternalError(Refusal):
    """A bug of ours, whose traceback is in the log."""

    status = "500 Internal Server Error"
    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("the service failed; its log says why")


class Unavailable(Refusal):
    """The database cannot take this now: send it again after `Retry-After`."""

    status = "503 Service Unavailable"
    code = "unavailable"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("the database is not available now; send the request again in a second")


class StartError(Exception):
    """The service cannot start; `str()` of it is the one line that says why."""
