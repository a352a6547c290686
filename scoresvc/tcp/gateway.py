"""Answers requests over TCP with any WSGI application, one call for each request: PEP 3333."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from scoresvc.tcp.frames import Address, Answer, FrameRequest, FrameResponse, make_response

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def make_answer(application: WSGIApplication, listener: socket.socket) -> Answer:
    """Returns the function that has `application` answer a request, as if it came by HTTP to `listener`.

    That raises whatever the application raises, and an error for each mistake of the application.
    """
    server_environ = _make_server_environ(listener)

    def answer(request: FrameRequest, address: Address) -> FrameResponse:
        return ApplicationCall().run(application, server_environ | _make_request_environ(request, address))

    return answer


class ApplicationCall:
    """One call of a WSGI application; collects its response in all the ways that PEP 3333 allows."""

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def run(self, application: WSGIApplication, environ: WSGIEnvironment) -> FrameResponse:
        """Returns the response. Raises whatever the application raises, and an error for each of its mistakes."""
        chunks = application(environ, self.start_response)
        try:
            for chunk in chunks:
                self._body.append(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if not self._status:
            raise RuntimeError("start_response was not called")
        content_type = next((value for name, value in self._headers if name.lower() == "content-type"), "")
        return make_response(self._status, content_type, b"".join(self._body))

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        """The callable of that name in PEP 3333."""
        if exc_info and exc_info[1] and any(self._body):
            raise exc_info[1]
        if self._status and not exc_info:
            raise RuntimeError("start_response was called twice")
        self._status, self._headers = status, headers
        return self._body.append


def _make_server_environ(listener: socket.socket) -> WSGIEnvironment:
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
        "wsgi.multiprocess": True,  # forked processes may share the listener
        "wsgi.run_once": False,
    }


def _make_request_environ(request: FrameRequest, address: Address) -> WSGIEnvironment:
    headers = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "REMOTE_ADDR": address[0],
        "REMOTE_PORT": str(address[1]),
        "wsgi.input": io.BytesIO(request.body),
        **headers,
    }
