"""Every refusal: one class, one code word, one status, one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

UINT31_MAX = 2**31 - 1
BODY_BYTES_MAX = 1024
COUNT_MAX = 1000  # entries in one answer


class Refusal(Exception):
    """A request that is not granted; `str()` of it is one line for the client.

    `status` is the HTTP status line, `code` the word for programs, `headers`
    what the response carries besides its usual headers.
    """

    status: ClassVar[str]
    code: ClassVar[str]
    headers: tuple[tuple[str, str], ...] = ()


class BadNumber(Refusal):
    """`name` was not `[0-9]{1,10}`, or more than 2147483647."""

    status = "400 Bad Request"
    code = "bad_number"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a whole number from 0 to {UINT31_MAX}, in at most ten decimal digits")


class UnknownParameter(Refusal):
    status = "400 Bad Request"
    code = "unknown_parameter"

    def __init__(self, known: Iterable[str]) -> None:
        names = ", ".join(known) or "none"
        super().__init__(f"the query has a parameter that this call does not take; it takes: {names}")


class RepeatedParameter(Refusal):
    status = "400 Bad Request"
    code = "repeated_parameter"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is given more than once; give it once")


class BadCount(Refusal):
    """`name` was not a number from 1 to COUNT_MAX."""

    status = "400 Bad Request"
    code = "bad_count"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a whole number from 1 to {COUNT_MAX}")


class BadUsers(Refusal):
    status = "400 Bad Request"
    code = "bad_users"

    def __init__(self) -> None:
        super().__init__(
            f"users must be 1 to {COUNT_MAX} whole numbers from 0 to {UINT31_MAX}, with commas between them"
        )


class BadCursor(Refusal):
    """The cursor is not one of ours, or one of another level."""

    status = "400 Bad Request"
    code = "bad_cursor"

    def __init__(self) -> None:
        super().__init__("after must be the next of an earlier answer about the same level")


class ContraryParameters(Refusal):
    status = "400 Bad Request"
    code = "contrary_parameters"

    def __init__(self) -> None:
        super().__init__("users goes with neither limit nor after; ask for users alone")


class BodyCutShort(Refusal):
    status = "400 Bad Request"
    code = "body_cut_short"

    def __init__(self) -> None:
        super().__init__("the body did not arrive whole; send as many bytes as Content-Length says")


class BadContentLength(Refusal):
    status = "400 Bad Request"
    code = "bad_content_length"

    def __init__(self) -> None:
        super().__init__("the length of the body must be known; send Content-Length in decimal digits")


class Unauthorized(Refusal):
    status = "401 Unauthorized"
    code = "unauthorized"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("a valid session key is needed, in ?sessionkey= or Authorization: Bearer; log in again")


class UnknownPath(Refusal):
    status = "404 Not Found"
    code = "not_found"

    def __init__(self) -> None:
        super().__init__(
            "no such path; there are /<userid>/login, /<userid>/scores, /<levelid>/score, /<levelid>/highscorelist,"
            " /<levelid>/rank/<userid> and /<levelid>/around/<userid>"
        )


class NoScore(Refusal):
    """The user has no score on the level, so no rank either."""

    status = "404 Not Found"
    code = "no_score"

    def __init__(self) -> None:
        super().__init__("this user has no score on this level yet")


class MethodNotAllowed(Refusal):
    status = "405 Method Not Allowed"
    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"this path takes another method: {methods}")
        self.headers = (("Allow", methods),)


class BodyTooLarge(Refusal):
    status = "413 Request Entity Too Large"
    code = "body_too_large"

    def __init__(self) -> None:
        super().__init__(f"the body must be a score in decimal digits, at most {BODY_BYTES_MAX} bytes")


class Unavailable(Refusal):
    """The database cannot take this now; the request may be sent again."""

    status = "503 Service Unavailable"
    code = "unavailable"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("the database is not available now; send the request again in a second")


class InternalError(Refusal):
    """A bug of ours: the log has its traceback, the client only this sentence."""

    status = "500 Internal Server Error"
    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("the service failed; its log says why")


class StartError(Exception):
    """The service cannot start; `str()` of it is the one line that says why."""
