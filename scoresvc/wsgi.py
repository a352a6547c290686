"""The WSGI callable: environ to route to status, headers, bytes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from scoresvc.accept import prefers_json
from scoresvc.errors import InternalError, Refusal
from scoresvc.formats import write_refusal_json
from scoresvc.log import log_call
from scoresvc.request import Environ, Request
from scoresvc.routes import JSON, TEXT, Answer, Route, find_route
from scoresvc.store import Store
from scoresvc.writer import Write

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

CALL_LOGGED_MAX = 100  # characters
HEADERS_KEPT = 1024  # of answers of the same type and length

log = logging.getLogger("scoresvc.wsgi")

Headers = tuple[tuple[str, str], ...]

# What is not part of a call's path, or is as long as a key: someone may have put a key there.
_UNFIT_FOR_LOG = re.compile("[^a-z0-9/ #_.-]|[a-z0-9]{20,}", re.IGNORECASE)


class Response(NamedTuple):
    status: str  # such as "200 OK"
    headers: Headers  # Content-Length is the last
    body: bytes


class Application:
    """The service as PEP 3333 wants it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        call = self.take(environ)
        try:
            call.find()
            response = call.answer()
        except Exception as error:
            response = call.fail(error)
        start_response(response.status, list(response.headers))
        return [response.body]

    def take(self, environ: Environ) -> Call:
        return Call(self._store, environ)


class Call:
    """One request on its way to its one response, with a line in the log."""

    def __init__(self, store: Store, environ: Environ) -> None:
        self._store = store
        self._environ = environ
        self._started = time.perf_counter()
        self._as_json = prefers_json(environ.get("HTTP_ACCEPT", ""))
        self._route: Route
        self._numbers: Mapping[str, str]
        self._answer: Answer

    def find(self) -> None:
        """Finds the route. Raises UnknownPath or MethodNotAllowed."""
        self._route, self._numbers = find_route(self._environ["REQUEST_METHOD"], self._environ.get("PATH_INFO", ""))
        self._answer = self._route.json if self._as_json and self._route.json else self._route.plain

    def may_last(self) -> bool:
        """Tells whether the client chose how much is read, so that others had better not wait for it."""
        if self._environ["REQUEST_METHOD"] == "POST":
            return False
        return self._route.is_unbounded or bool(self._environ.get("QUERY_STRING"))

    def value(self) -> Any:
        """Returns what the handler returns. Raises a Refusal."""
        return self._answer.handler(self._store, Request(self._environ, self._numbers, self._route.parameters))

    def succeed(self, value: Any) -> Response:
        """Returns the response for what `value` returned; waits for a write. Raises a Refusal where that failed."""
        if isinstance(value, Write):
            value = value.result()
        return self._respond("200 OK", self._answer.content_type, self._route.headers, self._answer.write(value))

    def answer(self) -> Response:
        return self.succeed(self.value())

    def fail(self, error: Exception) -> Response:
        """The one place where an error becomes a response."""
        if not isinstance(error, Refusal):
            log.error("a call failed", exc_info=error)
            error = InternalError()
        if self._as_json:
            return self._respond(error.status, JSON, error.headers, write_refusal_json(error))
        return self._respond(error.status, TEXT, error.headers, str(error))

    def _respond(self, status: str, content_type: str, headers: Headers, text: str) -> Response:
        body = text.encode()
        _log_access(self._environ, status, time.perf_counter() - self._started)
        return Response(
            status,
            _headers(content_type, len(body), headers),
            body if self._environ["REQUEST_METHOD"] != "HEAD" else b"",
        )


@lru_cache(HEADERS_KEPT)
def _headers(content_type: str, length: int, more: Headers) -> Headers:
    return (("Content-Type", content_type), ("Vary", "Accept"), *more, ("Content-Length", str(length)))


def _log_access(environ: Environ, status: str, seconds: float) -> None:
    """Logs method, path, status and milliseconds, but nothing that may be a session key."""
    call = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    if not status.startswith("2"):
        call = _UNFIT_FOR_LOG.sub("*", call)[:CALL_LOGGED_MAX]
    log_call(call, status, seconds)
