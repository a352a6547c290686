from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "service"
    folder.mkdir()
    with Server(folder) as server:
        yield server


@pytest.fixture
def key(server: Server) -> str:
    """A session key of user 4711."""
    return server.call("GET", "/4711/login")[1]
