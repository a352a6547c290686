"""Answers requests: finds the call, reads its parameters, has its handler called, writes the response."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from scoresvc.api.authorization import authorize, is_admin
from scoresvc.api.cross_origin import NOT_CROSS_ORIGIN, CrossOrigin
from scoresvc.api.etags import matches, tag
from scoresvc.api.formats import HTML, JSON, TEXT, write_refusal
from scoresvc.api.limits import Client, Limits
from scoresvc.api.metrics import RequestMetrics
from scoresvc.api.metrics_text import OTHER
from scoresvc.api.negotiation import prefers_html, prefers_json
from scoresvc.api.page_headers import PageHeaders, make_page_headers
from scoresvc.api.parameters import read_bearer
from scoresvc.api.request import Headers, Pending, Request, Response
from scoresvc.api.router import NO_STORE, PATHS, Arguments, Form, Route, find_route, methods_of
from scoresvc.config import Config
from scoresvc.errors import InternalError, MetricsNotPublic, Refusal, TokenNeeded, UnknownPath
from scoresvc.log import log_access
from scoresvc.pages.boards import write_refusal_page
from scoresvc.scores import Replay
from scoresvc.storage import Store, WouldBlock
from scoresvc.storage.write import Write

CALL_LOGGED_MAX = 100  # characters
HEADERS_CACHED = 1024  # of responses of the same type and length

REPLAYED = Headers((("Idempotent-Replayed", "true"), *NO_STORE))

DEFAULTS = Config()

CountRequest = Callable[[str, str, float], None]  # by call and status, with the seconds that it took
Fields = Headers | tuple[tuple[str, str], ...]

log = logging.getLogger("scoresvc.api")

_numbers = itertools.count(1)  # of requests

# What is not part of a call's path, or is as long as a key: someone may have put a key there.
_UNFIT_FOR_LOG = re.compile("[^a-z0-9/ #_.-]|[a-z0-9]{20,}", re.IGNORECASE)
_LAST_WORD = re.compile("[a-z0-9]+$", re.IGNORECASE)


class Context(NamedTuple):
    """What all requests have in common."""

    store: Store | None  # None: every request fails
    config: Config
    cross_origin: CrossOrigin
    pages: PageHeaders
    limits: Limits
    count_request: CountRequest


def make_context(store: Store | None, config: Config, limits: Limits, count_request: CountRequest) -> Context:
    origins, pages = CrossOrigin(config.http.origins), make_page_headers(config.pages)
    return Context(store, config, origins, pages, limits, count_request)


class Api:
    """The service on top of `store`, whatever the protocol; `clock` is for its limits. Safe in several threads."""

    def __init__(self, store: Store, config: Config = DEFAULTS, clock: Callable[[], float] = time.monotonic) -> None:
        metrics = RequestMetrics(store.counters)
        limits = Limits(config, metrics.count_limit, clock)
        self.reads_wait = store.reads_wait
        self._context = make_context(store, config, limits, metrics.count)

    def __call__(self, request: Request) -> Response | Pending:
        """Never raises. A response that waits for a write is Pending."""
        return self.begin(request).answer()

    def begin(self, request: Request) -> Exchange:
        return Exchange(request, self._context)

    def refuse_unread(self, error: Refusal, address: str) -> Response:
        """Returns the response to what is no request; its line in the access log says which refusal."""
        log_access(address, 0, error.code, error.status, 0.0)
        body, common = str(error).encode(), self._context.cross_origin.headers_for({})
        return Response(error.status, _make_headers(TEXT, len(body), error.headers, common), body)

    def reads_body(self, method: str, path: str) -> bool:
        """Returns whether the body matters to the response; where it does not, an adapter need not wait for it."""
        try:
            route, *_ = find_route(method, path)
        except Refusal:
            return False
        return route.reads_body


class Exchange:
    """One request on its way to its one response, and to its line in the access log."""

    __slots__ = (
        "_arguments", "_context", "_form", "_number", "_prefers_json", "_refusal", "_request", "_route", "_started",
    )  # fmt: skip

    def __init__(self, request: Request, context: Context) -> None:
        self._request = request
        self._context = context
        self._number = next(_numbers)
        self._started = time.perf_counter()
        accept = request.headers.get("accept")
        self._prefers_json = prefers_json(accept) if accept else False
        self._route: Route | None = None
        self._form: Form
        try:
            route, self._arguments = find_route(request.method, request.path)
            self._route = route.for_browsers(request.query) if route.page and accept and prefers_html(accept) else route
        except Refusal as error:
            self._refusal = error

    @property
    def runs_in_thread(self) -> bool:
        """Whether the answer may be of any length or waits for the disk, so that it must not block an event loop."""
        return self._route is not None and self._route.is_slow

    @property
    def takes_cpu(self) -> bool:
        """Whether that thread computes rather than waits: a page takes up to some milliseconds to write."""
        return self._route is not None and self._route.is_page

    def answer(self) -> Response | Pending:
        """Never raises."""
        return self._answer(self._context.store)

    def answer_in_loop(self) -> Response | Pending:
        """As `answer`, but raises WouldBlock where that has to wait for a server, or takes long."""
        store = self._context.store
        return self._answer(store.for_loop or store if store else None)

    def _answer(self, store: Store | None) -> Response | Pending:
        try:
            if self._route is None:
                return self._describe_path(store)
            value = self._call(self._route, store)
            return PendingResponse(value, self) if isinstance(value, Write) else self.succeed(value)
        except WouldBlock:
            raise
        except Exception as error:
            return self.fail(error)

    def _call(self, route: Route, store: Store | None) -> object:
        """Returns what the handler returns. Raises a Refusal."""
        request = self._request
        arguments = self._admit(route, store) if route.is_guarded else self._arguments
        self._form = form = route.choose_form(request.query, self._prefers_json)
        read = route.defaults if route.defaults is not None and not request.query else route.read_arguments(request)
        if route.is_counted:
            return form.handler(store, Client(request, self._context.limits), **arguments, **read)
        return form.handler(store, **arguments, **read)

    def _admit(self, route: Route, store: Store | None) -> Arguments:
        """Returns the values of the path parameters, with the name of the token where it is recorded.

        Raises UnknownPath, MetricsNotPublic, TokenNeeded, NotAllowed.
        """
        if route.option and self._context.config.is_on(route.option):
            if route.is_admin:
                self._refuse_unknown(store)
            return self._arguments
        if route.token is None:
            raise UnknownPath(PATHS)
        assert store is not None
        try:
            token = authorize(store, route.token.right, self._arguments, self._request.headers)
        except TokenNeeded:
            if not route.is_admin:
                raise MetricsNotPublic from None
            self._refuse_unknown(store)
            if read_bearer(self._request.headers):
                Client(self._request, self._context.limits).count_wrong_key()
            raise
        return {**self._arguments, route.token.argument: token.name} if route.token.is_recorded else self._arguments

    def _refuse_unknown(self, store: Store | None) -> None:
        """Raises UnknownPath for what is under /admin, unless there are tokens."""
        if self._is_admin and store is not None and not store.admin.has_tokens():
            raise UnknownPath(PATHS) from None

    @property
    def _is_admin(self) -> bool:
        return self._route.is_admin if self._route else is_admin(self._request.path)

    def succeed(self, value: object) -> Response:
        route, form = self._route, self._form
        assert route is not None
        if isinstance(value, Replay):
            return self._respond("200 OK", form.content_type, REPLAYED, _encode(form.write(value.result)))
        text, headers = form.write(value), self._find_headers(route)
        if not route.has_etag:
            return self._respond("200 OK", form.content_type, headers, _encode(text))
        body, etag = tag(text)
        known = self._request.headers.get("if-none-match")
        if known and matches(known, etag):
            return self._respond("304 Not Modified", "", headers, b"", etag)
        return self._respond("200 OK", form.content_type, headers, body, etag)

    def _find_headers(self, route: Route) -> Headers:
        if not route.is_page:
            return route.headers
        return self._context.pages.operators if route.is_admin else self._context.pages.players

    def _describe_path(self, store: Store | None) -> Response:
        """Answers OPTIONS (RFC 9110, 9.3.7), also as a preflight. Raises a Refusal, also for any other method."""
        self._refuse_unknown(store)
        if self._request.method != "OPTIONS":
            raise self._refusal
        methods = methods_of(self._request.path)
        preflight = Headers()
        if not self._is_admin:
            preflight = self._context.cross_origin.preflight_headers(self._request.headers, methods)
        return self._respond("204 No Content", "", (("Allow", ", ".join(methods)), *preflight), b"")

    def fail(self, error: Exception) -> Response:
        """The one place where an error becomes a response."""
        if not isinstance(error, Refusal):
            log.error("request %d failed", self._number, exc_info=error)
            error = InternalError()
        if self._prefers_json:
            return self._respond(error.status, JSON, error.headers, write_refusal(error))
        if self._route and self._route.is_page and not self._route.is_admin:
            headers = (*self._find_headers(self._route), *error.headers)
            return self._respond(error.status, HTML, headers, write_refusal_page(error.status, str(error)).encode())
        return self._respond(error.status, TEXT, error.headers, str(error).encode())

    def _respond(self, status: str, content_type: str, headers: Fields, body: bytes, etag: str = "") -> Response:
        request, route, context = self._request, self._route, self._context
        seconds = time.perf_counter() - self._started
        context.count_request(route.name if route else OTHER, status, seconds)
        if route is None or route.is_logged:
            call = _describe(request.method, request.path, status)
            log_access(request.remote_address, self._number, call, status, seconds)
        if route.is_admin if route else is_admin(request.path):
            common = NOT_CROSS_ORIGIN
        else:
            common = context.cross_origin.headers_for(request.headers)
        made = _make_headers(content_type, len(body), headers, common)
        return Response(status, made, b"" if request.method == "HEAD" else body, etag)


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
    if status[0] in "23":
        return call
    if len(call) > CALL_LOGGED_MAX:
        call = _LAST_WORD.sub("*", call[:CALL_LOGGED_MAX])  # which may be the beginning of a key
    return _UNFIT_FOR_LOG.sub("*", call)
