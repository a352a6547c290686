from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from scoresvc.tcp.gateway import Gateway
from tests.http.conftest import LOOPS
from tests.tcp.client import Address
from tests.tcp.serving import Call, EventLoop, Server, listen

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Serve = Callable[..., Server]
ServeApplication = Callable[..., Address]


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[EventLoop]:
    with EventLoop(str(request.param)) as loop:
        yield loop


@pytest.fixture
def serve(loop: EventLoop) -> Iterator[Serve]:
    """Starts servers with a call of their own; none of them may leave an error to its loop."""
    loop.errors.clear()
    with ExitStack() as stack:

        def serve(call: Call, **options: Any) -> Server:
            return stack.enter_context(Server(loop, call, **options))

        yield serve
    assert loop.errors == []


@pytest.fixture
def serve_application(serve: Serve) -> Iterator[ServeApplication]:
    """Starts servers in front of a WSGI application; returns their addresses."""
    with ExitStack() as stack:

        def serve_application(application: WSGIApplication, host: str = "127.0.0.1", threads: int = 4) -> Address:
            listener = listen(host)
            gateway = Gateway(application, listener, threads)
            stack.callback(gateway.close)
            return serve(gateway.call, listener=listener).address

        yield serve_application
