"""What every refusal is, and the refusals of any call."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """A request that is refused; `str()` of it is the one line for the client.

    `status` is the HTTP status line, `code` the word for programs, `headers` what
    the response carries besides its usual headers. The docstring of each class says when
    it comes; the README's table is made of them.
    """

    status: ClassVar[str]
    code: ClassVar[str]
    headers: tuple[tuple[str, str], ...] = ()


class InternalError(Refusal):
    """A bug of ours, whose traceback is in the log."""

    status = "500 Internal Server Error"
    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("the service failed; its log says why")


class NotReady(Refusal):
    """The service cannot do its work now; the sentence says why."""

    status = "503 Service Unavailable"
    code = "not_ready"
    headers = (("Retry-After", "5"),)

    def __init__(self, reason: str) -> None:
        super().__init__(f"not ready: {reason}")


class Unavailable(Refusal):
    """The database cannot take this now: send it again after `Retry-After`."""

    status = "503 Service Unavailable"
    code = "unavailable"
    headers = (("Retry-After", "1"),)

    def __init__(self) -> None:
        super().__init__("the database is not available now; send the request again in a second")


class StartError(Exception):
    """The service cannot start; `str()` of it is the one line that says why."""
