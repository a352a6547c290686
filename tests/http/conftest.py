from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from contextlib import closing

import pytest

from scoresvc import config
from scoresvc.api.dispatch import Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.storage import open_store
from tests.http.applications import DecidedApi
from tests.http.serving import SHORT, RunningServer

LOOPS = ("asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else []))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    path = tmp_path_factory.mktemp("http") / "scores.sqlite3"
    with closing(open_store(Config(database=config.DatabaseOptions(path=path)), counted=NAMES)) as store:
        yield Api(store)


@pytest.fixture(scope="module", params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


@pytest.fixture(scope="module")
def server(api: Api, loop_name: str) -> Iterator[RunningServer]:
    with RunningServer(api, lambda: make_loop(loop_name)) as server:
        yield server


@pytest.fixture(scope="module")
def short(loop_name: str) -> Iterator[RunningServer]:
    """A server with short deadlines."""
    with RunningServer(DecidedApi(), lambda: make_loop(loop_name), timeouts=SHORT) as server:  # type: ignore[arg-type]
        yield server
