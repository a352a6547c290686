"""The WSGI callable: environ to route to status, headers, bytes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from scoresvc.accept import prefers_json
from scoresvc.errors import InternalError, Refusal
from scoresvc.formats import write_refusal_json
from scoresvc.log import log_call
from scoresvc.request import Environ, Request
from scoresvc.routes import JSON, TEXT, find_route
from scoresvc.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

CALL_LOGGED_MAX = 100  # characters

log = logging.getLogger("scoresvc.wsgi")

Headers = tuple[tuple[str, str], ...]

# What is not part of a call's path, or is as long as a key: someone may have put a key there.
_UNFIT_FOR_LOG = re.compile("[^a-z0-9/ #_.-]|[a-z0-9]{20,}", re.IGNORECASE)


class Application:
    """The service as PEP 3333 wants it; makes the one response of every refusal."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        status, content_type, headers, body = self._respond(environ)
        start_response(
            status,
            [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Vary", "Accept"), *headers],
        )
        _log_access(environ, status, time.perf_counter() - started)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _respond(self, environ: Environ) -> tuple[str, str, Headers, bytes]:
        as_json = prefers_json(environ.get("HTTP_ACCEPT", ""))
        try:
            route, numbers = find_route(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
            answer = route.json if as_json and route.json else route.plain
            value = answer.handler(self._store, Request(environ, numbers, route.parameters))
            return "200 OK", answer.content_type, route.headers, answer.write(value).encode()
        except Refusal as refusal:
            return _refuse(refusal, as_json)
        except Exception:
            log.exception("a call failed")
            return _refuse(InternalError(), as_json)


def _refuse(refusal: Refusal, as_json: bool) -> tuple[str, str, Headers, bytes]:
    if as_json:
        return refusal.status, JSON, refusal.headers, write_refusal_json(refusal).encode()
    return refusal.status, TEXT, refusal.headers, str(refusal).encode()


def _log_access(environ: Environ, status: str, seconds: float) -> None:
    """Logs method, path, status and milliseconds, but nothing that may be a session key."""
    call = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    if not status.startswith("2"):
        call = _UNFIT_FOR_LOG.sub("*", call)[:CALL_LOGGED_MAX]
    log_call(f"{call} {status[:3]} {seconds * 1000:.1f}")
