"""The WSGI callable: environ to route to status, headers, bytes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from scoresvc.errors import InternalError, Refusal
from scoresvc.log import log_call
from scoresvc.request import Environ, Request
from scoresvc.routes import TEXT, find_route
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
        start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers])
        _log_access(environ, status, time.perf_counter() - started)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _respond(self, environ: Environ) -> tuple[str, str, Headers, bytes]:
        try:
            route, numbers = find_route(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
            value = route.handler(self._store, Request(environ, numbers, route.parameters))
            return "200 OK", route.content_type, route.headers, route.write(value).encode()
        except Refusal as refusal:
            return _refuse(refusal)
        except Exception:
            log.exception("a call failed")
            return _refuse(InternalError())


def _refuse(refusal: Refusal) -> tuple[str, str, Headers, bytes]:
    return refusal.status, TEXT, refusal.headers, str(refusal).encode()


def _log_access(environ: Environ, status: str, seconds: float) -> None:
    """Logs method, path, status and milliseconds, but nothing that may be a session key."""
    call = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    if not status.startswith("2"):
        call = _UNFIT_FOR_LOG.sub("*", call)[:CALL_LOGGED_MAX]
    log_call(f"{call} {status[:3]} {seconds * 1000:.1f}")
