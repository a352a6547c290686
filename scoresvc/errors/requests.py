"""The refusals of requests that cannot be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from scoresvc.errors.base import Refusal
from scoresvc.limits import BODY_BYTES_MAX, COUNT_MAX, INT64_MAX, UINT31_MAX

SCORE_EXAMPLES = 'send 1500 alone, a form with score=1500, or JSON such as {"score": 1500}'


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
    """`after` is not the `next` of an answer about the same level or user."""

    status = "400 Bad Request"
    code = "bad_cursor"

    def __init__(self) -> None:
        super().__init__("after must be the next of an earlier answer to the same call")


class BadFormat(Refusal):
    """`format` is not a form that the list has."""

    status = "400 Bad Request"
    code = "bad_format"

    def __init__(self) -> None:
        super().__init__("format must be lines; leave it out for the other forms")


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


class TooMany(Refusal):
    """A limit of `[limits]` is reached: it may be sent again after `Retry-After`."""

    status = "429 Too Many Requests"
    code = "too_many"

    def __init__(self, what: str, wait: float) -> None:
        seconds = max(1, math.ceil(wait))
        self.headers = (("Retry-After", str(seconds)),)
        super().__init__(f"too many {what}; try again in {seconds} s")


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


class MethodNotAllowed(Refusal):
    """The path takes another method; `Allow` lists them."""

    status = "405 Method Not Allowed"
    code = "method_not_allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"this path takes another method: {methods}")
        self.headers = (("Allow", methods),)
