from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.running import Server


@pytest.fixture(scope="session", params=["waitress", "granian"])
def http_server(request: pytest.FixtureRequest) -> str:
    """The name of each of the servers that the service knows."""
    if request.param == "granian":
        pytest.importorskip("granian", reason="granian is not installed")
    name: str = request.param
    return name


@pytest.fixture
def start(http_server: str) -> Callable[..., Server]:
    """Starts the service on each of its servers."""
    return partial(Server, http_server=http_server)


@pytest.fixture
def server(start: Callable[..., Server], tmp_path: Path) -> Iterator[Server]:
    with start(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def shared_server(http_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service for the tests that leave it running, with JSON over TCP, too; each has levels of its own."""
    with Server(tmp_path_factory.mktemp("shared"), "--tcp-port", "0", http_server=http_server) as server:
        yield server
        assert server.terminate() == 0
        assert "Traceback" not in server.log
