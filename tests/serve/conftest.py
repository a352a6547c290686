from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.running import Server


@pytest.fixture(scope="session", params=[1, 2])
def processes(request: pytest.FixtureRequest) -> int:
    """One process that does everything, or two that serve and one that writes."""
    count: int = request.param
    return count


@pytest.fixture
def start(processes: int) -> Callable[..., Server]:
    """Starts the service in one process and in several."""
    return partial(Server, processes=processes)


@pytest.fixture
def server(start: Callable[..., Server], tmp_path: Path) -> Iterator[Server]:
    with start(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def shared_server(processes: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service for the tests that leave it running, with JSON over TCP, too; each has levels of its own."""
    with Server(tmp_path_factory.mktemp("shared"), "--tcp-port", "0", processes=processes) as server:
        yield server
        assert server.terminate() == 0
        assert "Traceback" not in server.log
