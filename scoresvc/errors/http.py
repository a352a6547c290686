"""The refusals of connections and of what is not HTTP."""

from __future__ import annotations

from scoresvc.errors.base import Refusal
from scoresvc.limits import HEADER_BYTES_MAX, HEADER_FIELDS_MAX


class BadRequest(Refusal):
    """Not a request as RFC 9112 has it, or one that two readers could take for different requests."""

    status = "400 Bad Request"
    code = "bad_request"

    def __init__(self) -> None:
        super().__init__("this is not a whole HTTP/1.1 request; send method, path, version and header as in RFC 9112")


class BadTarget(Refusal):
    """Neither a path nor an absolute http URL."""

    status = "400 Bad Request"
    code = "bad_target"

    def __init__(self) -> None:
        super().__init__("the target of a request must be a path that begins with /, or a whole http:// URL")


class BadHost(Refusal):
    """No Host header, several, or one that names no host."""

    status = "400 Bad Request"
    code = "bad_host"

    def __init__(self) -> None:
        super().__init__("the request must have one Host header: a host name or address, and perhaps a port")


class RequestTimeout(Refusal):
    """The request did not arrive whole in time."""

    status = "408 Request Timeout"
    code = "request_timeout"

    def __init__(self) -> None:
        super().__init__("the request did not arrive whole in time; send it again, faster")


class TargetTooLong(Refusal):
    """The request line is longer than 16 KiB."""

    status = "414 Request-URI Too Long"
    code = "target_too_long"

    def __init__(self) -> None:
        super().__init__(f"the request line and the header must have at most {HEADER_BYTES_MAX} bytes")


class ExpectationFailed(Refusal):
    """`Expect` asks for something other than `100-continue`."""

    status = "417 Expectation Failed"
    code = "expectation_failed"

    def __init__(self) -> None:
        super().__init__("the only expectation that can be met is 100-continue")


class HeaderTooLarge(Refusal):
    """The header has more than 16 KiB or 100 fields."""

    status = "431 Request Header Fields Too Large"
    code = "header_too_large"

    def __init__(self) -> None:
        super().__init__(
            f"the header must have at most {HEADER_BYTES_MAX} bytes, the request line included,"
            f" and {HEADER_FIELDS_MAX} fields"
        )


class UnknownTransferCoding(Refusal):
    """A Transfer-Encoding other than chunked."""

    status = "501 Not Implemented"
    code = "unknown_transfer_coding"

    def __init__(self) -> None:
        super().__init__("the only transfer coding is chunked; send the body plain or chunked")


class TooManyConnections(Refusal):
    """There are as many connections as may be."""

    status = "503 Service Unavailable"
    code = "too_many_connections"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("there are too many connections now; connect again in a second")


class VersionNotSupported(Refusal):
    """A version of HTTP other than 1.1 and 1.0."""

    status = "505 HTTP Version Not Supported"
    code = "version_not_supported"

    def __init__(self) -> None:
        super().__init__("the only versions of HTTP here are 1.1 and 1.0")
