"""Calls a WSGI application (PEP 3333) for requests that came as JSON over TCP."""

from __future__ import annotations

import io
import logging
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from scoresvc.api.request import Headers, Request, Response
from scoresvc.errors import Refusal

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = logging.getLogger("scoresvc.tcp")


class Gateway:
    """Makes up to `threads` calls of `application` at a time; `listener` is where the requests come in."""

    def __init__(self, application: WSGIApplication, listener: socket.socket, threads: int) -> None:
        self._application = application
        self._environ = _server_environ(listener)
        self._threads = ThreadPoolExecutor(threads, "scoresvc-gateway")

    def call(self, request: Request) -> Future[Response]:
        """The future never fails: whatever the application does, there is a response."""
        return self._threads.submit(self._respond, request)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _respond(self, request: Request) -> Response:
        try:
            return CollectedResponse().collect(self._application, self._environ | _request_environ(request))
        except BaseException:  # SystemExit, too: no request may end a thread
            log.exception("the application failed at a %s request", request.method)
            return Response("500 Internal Server Error", Headers(), b"")


class CollectedResponse:
    """What an application answers, collected in the ways that PEP 3333 lets it come."""

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        """Is the application's `start_response`."""
        if exc_info and exc_info[1] and any(self._body):
            raise exc_info[1]
        if self._status and not exc_info:
            raise RuntimeError("start_response was called twice")
        self._status, self._headers = status, headers
        return self._body.append

    def collect(self, application: WSGIApplication, environ: WSGIEnvironment) -> Response:
        """Returns the response. Raises whatever the application raises, and RuntimeError for its own mistakes."""
        chunks = application(environ, self.start)
        try:
            for chunk in chunks:
                self._body.append(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if not self._status:
            raise RuntimeError("start_response was not called")
        return Response(self._status, Headers(self._headers), b"".join(self._body))


def _server_environ(listener: socket.socket) -> WSGIEnvironment:
    """Returns the part of the environ that is the same for all requests."""
    host, port = listener.getsockname()[:2]
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _request_environ(request: Request) -> WSGIEnvironment:
    body = b"" if isinstance(request.body, Refusal) else request.body
    headers = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": request.remote_address,
        "wsgi.input": io.BytesIO(body),
        **headers,
    }
