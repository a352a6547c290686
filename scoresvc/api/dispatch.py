"""Answers requests: finds the call, reads its parameters, has its handler called, writes the response."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from scoresvc.api.cross_origin import CrossOrigin
from scoresvc.api.etags import matches, tag
from scoresvc.api.formats import JSON, TEXT, write_refusal
from scoresvc.api.metrics import RequestMetrics
from scoresvc.api.metrics_text import OTHER
from scoresvc.api.negotiation import prefers_json
from scoresvc.api.request import Headers, Pending, Request, Response
from scoresvc.api.router import Form, Route, find_route, methods_of
from scoresvc.config import Config
from scoresvc.errors import InternalError, Refusal
from scoresvc.log import log_access
from scoresvc.storage import Store
from scoresvc.storage.write import Write

CALL_LOGGED_MAX = 100  # characters
HEADERS_CACHED = 1024  # of responses of the same type and length

DEFAULTS = Config()

Fields = tuple[tuple[str, str], ...]

log = logging.getLogger("scoresvc.api")

_numbers = itertools.count(1)  # of requests

# What is not part of a call's path, or is as long as a key: someone may have put a key there.
_UNFIT_FOR_LOG = re.compile("[^a-z0-9/ #_.-]|[a-z0-9]{20,}", re.IGNORECASE)
_LAST_WORD = re.compile("[a-z0-9]+$", re.IGNORECASE)


class Context(NamedTuple):
    """What all requests have in common."""

    config: Config
    cross_origin: CrossOrigin
    count_request: Callable[[str, str, float], None]  # by call and status, with the seconds that it took


class Api:
    """The service on top of `store`, whatever the protocol. Safe in several threads."""

    def __init__(self, store: Store, config: Config = DEFAULTS) -> None:
        self._store = store
        self._context = Context(config, CrossOrigin(config.http.origins), RequestMetrics(store.counters).count)

    def __call__(self, request: Request) -> Response | Pending:
        """Never raises. A response that waits for a write is Pending."""
        exchange = Exchange(request, self._context)
        try:
            if request.method == "OPTIONS":
                return exchange.describe_path()
            value = exchange.call(self._store)
            return PendingResponse(value, exchange) if isinstance(value, Write) else exchange.succeed(value)
        except Exception as error:
            return exchange.fail(error)

    def refuse(self, request: Request, error: Refusal) -> Response:
        """Returns the response to a request that cannot be taken."""
        return Exchange(request, self._context).fail(error)

    def refuse_unread(self, error: Refusal, address: str) -> Response:
        """Returns the response to what is no request; its line in the access log says which refusal."""
        log_access(address, 0, error.code, error.status, 0.0)
        body = str(error).encode()
        return Response(
            error.status,
            _make_headers(TEXT, len(body), error.headers, self._context.cross_origin.headers_for({})),
            body,
        )

    def reads_body(self, method: str, path: str) -> bool:
        """Returns whether the body matters to the response; where it does not, an adapter need not wait for it."""
        try:
            route, _ = find_route(method, path)
        except Refusal:
            return False
        return route.reads_body

    def runs_in_thread(self, request: Request) -> bool:
        """Returns whether the work depends on the request's size, so that it must not block an event loop."""
        try:
            route, _ = find_route(request.method, request.path)
        except Refusal:
            return False
        return route.runs_in_thread(request.query)


class Exchange:
    """One request on its way to its one response, and to its line in the access log."""

    __slots__ = ("_context", "_form", "_number", "_prefers_json", "_request", "_route", "_started")

    def __init__(self, request: Request, context: Context) -> None:
        self._request = request
        self._context = context
        self._number = next(_numbers)
        self._started = time.perf_counter()
        accept = request.headers.get("accept")
        self._prefers_json = prefers_json(accept) if accept else False
        self._route: Route | None = None
        self._form: Form

    def call(self, store: Store) -> object:
        """Returns what the handler returns. Raises a Refusal."""
        route, arguments = find_route(self._request.method, self._request.path)
        self._route = route
        route.check_option(self._context.config)
        self._form = route.choose_form(self._request.query, self._prefers_json)
        return self._form.handler(store, **arguments, **route.read_arguments(self._request))

    def succeed(self, value: object) -> Response:
        text, route = self._form.write(value), self._route
        assert route is not None
        if not route.has_etag:
            return self._respond("200 OK", self._form.content_type, route.headers, _encode(text))
        body, etag = tag(text)
        if (known := self._request.headers.get("if-none-match")) and matches(known, etag):
            return self._respond("304 Not Modified", "", route.headers, b"", etag)
        return self._respond("200 OK", self._form.content_type, route.headers, body, etag)

    def describe_path(self) -> Response:
        """Answers OPTIONS (RFC 9110, 9.3.7), also as a preflight. Raises a Refusal."""
        methods = methods_of(self._request.path)
        preflight = self._context.cross_origin.preflight_headers(self._request.headers, methods)
        return self._respond("204 No Content", "", (("Allow", ", ".join(methods)), *preflight), b"")

    def fail(self, error: Exception) -> Response:
        """The one place where an error becomes a response."""
        if not isinstance(error, Refusal):
            log.error("request %d failed", self._number, exc_info=error)
            error = InternalError()
        if self._prefers_json:
            return self._respond(error.status, JSON, error.headers, write_refusal(error))
        return self._respond(error.status, TEXT, error.headers, str(error).encode())

    def _respond(self, status: str, content_type: str, headers: Fields, body: bytes, etag: str = "") -> Response:
        method, path, address = self._request.method, self._request.path, self._request.remote_address
        seconds = time.perf_counter() - self._started
        self._context.count_request(self._route.name if self._route else OTHER, status, seconds)
        if self._route is None or self._route.is_logged:
            log_access(address, self._number, _describe(method, path, status), status, seconds)
        common = self._context.cross_origin.headers_for(self._request.headers)
        made = _make_headers(content_type, len(body), headers, common)
        return Response(status, made, b"" if method == "HEAD" else body, etag)


class PendingResponse:
    """The response to a request whose write is not committed yet; see `Pending`."""

    __slots__ = ("_exchange", "_write")

    def __init__(self, write: Write[object], exchange: Exchange) -> None:
        self._write = write
        self._exchange = exchange

    def result(self) -> Response:
        try:
            return self._exchange.succeed(self._write.result())
        except Exception as error:
            return self._exchange.fail(error)

    def add_done_callback(self, callback: Callable[[Pending], object]) -> None:
        self._write.add_done_callback(lambda write: callback(self))


@lru_cache(HEADERS_CACHED)
def _make_headers(content_type: str, length: int, more: Fields, common: Headers) -> Headers:
    """Returns all fields of a header; a response without a type has no body, and need not say so."""
    if not content_type:
        return Headers((*more, *common))
    return Headers((("Content-Type", content_type), *more, *common, ("Content-Length", str(length))))


def _encode(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _describe(method: str, path: str, status: str) -> str:
    """Method and path for the access log, without anything that may be a session key."""
    call = f"{method} {path}"
    if status.startswith("2"):
        return call
    if len(call) > CALL_LOGGED_MAX:
        call = _LAST_WORD.sub("*", call[:CALL_LOGGED_MAX])  # which may be the beginning of a key
    return _UNFIT_FOR_LOG.sub("*", call)
