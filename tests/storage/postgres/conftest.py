from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import Store, open_store
from tests.conftest import Clock
from tests.postgres import Cluster


@pytest.fixture(autouse=True)
def _wants_postgres(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("postgres"):
        pytest.skip("needs --postgres")


@pytest.fixture
def settings(cluster: Cluster, database_path: Path) -> Iterator[Config]:
    with cluster.emptied_database() as url:
        yield Config(database=DatabaseOptions(path=database_path, url=url))


@pytest.fixture
def new_settings(cluster: Cluster, database_path: Path) -> Iterator[Config]:
    """Of a database without tables."""
    with cluster.database() as url:
        yield Config(database=DatabaseOptions(path=database_path, url=url))


@pytest.fixture
def store(settings: Config, clock: Clock) -> Iterator[Store]:
    with closing(open_store(settings, clock, NAMES)) as store:
        yield store
