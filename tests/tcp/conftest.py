from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from scoresvc.tcp import gateway
from scoresvc.tcp.connection import ConnectionLimits
from scoresvc.tcp.frames import Answer, FrameRequest, FrameResponse, make_response
from scoresvc.tcp.server import TcpServer
from tests.tcp.client import Address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Serve = Callable[..., Address]
Start = Callable[..., Address]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers on free ports; returns their addresses."""
    servers = []

    def start(
        make_answer: Callable[[socket.socket], Answer], host: str = "127.0.0.1", threads: int = 4, **limits: Any
    ) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family)
        servers.append(TcpServer(make_answer(listener), listener, ConnectionLimits(**limits), threads))
        servers[-1].start()
        address: Address = listener.getsockname()
        return address

    yield start
    for server in servers:
        server.stop(grace=2)


@pytest.fixture
def serve(start: Start) -> Serve:
    """Starts servers with an answer of their own."""
    return lambda answer, **options: start(lambda listener: answer, **options)


@pytest.fixture
def serve_application(start: Start) -> Serve:
    """Starts servers in front of a WSGI application."""

    def serve(application: WSGIApplication, **options: Any) -> Address:
        return start(lambda listener: gateway.make_answer(application, listener), **options)

    return serve


def hello(request: FrameRequest, address: Address) -> FrameResponse:
    return make_response("200 OK", "text/plain", b"Hello, World!")


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    """Sets the soft limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
