from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import Store, open_store
from tests.conftest import Clock
from tests.nodes import start_node
from tests.postgres import Cluster
from tests.running import Server

DEFAULTS = Config()


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


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """The address of a database that is up to date and empty."""
    with cluster.emptied_database() as url:
        yield url


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server for one test alone, with an empty database `scores`."""
    cluster = Cluster(tmp_path_factory.mktemp("own") / "data")
    cluster.make()
    cluster.start()
    with cluster.connect() as connection:
        connection.execute("CREATE DATABASE scores")
    yield cluster
    cluster.kill()


StartNode = Callable[..., Server]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StartNode]:
    """Starts a node on a database, with options of [database]."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def start(url: str, **options: object) -> Server:
            return stack.enter_context(start_node(tmp_path / f"node{next(numbers)}", url, **options))

        yield start


OpenNode = Callable[..., Store]


@pytest.fixture
def open_node(tmp_path: Path) -> Iterator[OpenNode]:
    """Opens the store of a node in this process, by the clock of the database."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def start(url: str, settings: Config = DEFAULTS, **options: object) -> Store:
            path = tmp_path / f"store{next(numbers)}" / "scores.sqlite3"
            path.parent.mkdir()
            database = DatabaseOptions(path=path, url=url, **options)  # type: ignore[arg-type]
            return stack.enter_context(closing(open_store(replace(settings, database=database), counted=NAMES)))

        yield start
