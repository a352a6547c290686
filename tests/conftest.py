from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

from scoresvc import config, errors
from scoresvc.api.dispatch import Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.errors import Refusal
from scoresvc.errors import http as http_errors
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store, open_store
from scoresvc.storage.postgres.library import psycopg
from scoresvc.storage.sqlite.library import sqlite3
from tests import postgres
from tests.described import DescribedApp
from tests.postgres import Cluster


def refusals() -> list[type[Refusal]]:
    """Every refusal with a code word of its own, by status."""
    named = [each for module in (errors, http_errors) for each in vars(module).values() if isinstance(each, type)]
    return sorted([each for each in named if Refusal in each.__bases__], key=lambda refusal: refusal.status[:3])


# All calls are there.
EVERYTHING = Config(http=config.HttpOptions(get_posts=True), metrics=config.MetricsOptions(public=True))


class Clock:
    """Unix seconds that move only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return tmp_path / "scores.sqlite3"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="where the pictures of the pages are kept")
    parser.addoption("--postgres", action="store_true", help="run what is about the storage on PostgreSQL, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that is about PostgreSQL alone runs only where it is asked for, and where there is a server."""
    reason = postgres.why_missing() if config.getoption("postgres") else "is about PostgreSQL: see --postgres"
    for item in items:
        if reason and item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of what is stored runs on both engines, unless it looks into the file of one."""
    if "engine" in metafunc.fixturenames:
        engines = ["sqlite", "postgres"] if metafunc.config.getoption("postgres") else ["sqlite"]
        is_about_sqlite = (
            metafunc.definition.get_closest_marker("sqlite")
            or "database_path" in inspect.signature(metafunc.function).parameters
        )
        metafunc.parametrize("engine", ["sqlite"] if is_about_sqlite else engines)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of PostgreSQL."""
    if reason := postgres.why_missing():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("postgres") / "data")
    cluster.make()
    cluster.start()
    yield cluster
    cluster.stop()


NewDatabase = Callable[[], AbstractContextManager[config.DatabaseOptions]]


@pytest.fixture
def new_database(engine: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> NewDatabase:
    """Makes an empty database for a `with` block, as often as it is called."""

    @contextmanager
    def make() -> Iterator[config.DatabaseOptions]:
        path = tmp_path_factory.mktemp("database") / "scores.sqlite3"
        if engine == "sqlite":
            yield config.DatabaseOptions(path=path)
            return
        with request.getfixturevalue("cluster").emptied_database() as url:
            yield config.DatabaseOptions(path=path, url=url)

    return make


@pytest.fixture
def settings(engine: str, database_path: Path, request: pytest.FixtureRequest) -> Iterator[Config]:
    if engine == "sqlite":
        yield Config(database=config.DatabaseOptions(path=database_path))
        return
    with request.getfixturevalue("cluster").emptied_database() as url:
        yield Config(database=config.DatabaseOptions(path=database_path, url=url))


@pytest.fixture
def store(settings: Config, clock: Clock) -> Iterator[Store]:
    with closing(open_store(settings, clock, NAMES)) as store:
        yield store


@pytest.fixture
def app(store: Store) -> TestApp:
    """The service under WebTest, whose lint checks every call against PEP 3333."""
    return make_app(store)


def make_app(store: Store) -> TestApp:
    return DescribedApp(Application(Api(store, EVERYTHING)))


@pytest.fixture
def key(app: TestApp) -> str:
    """A session key of user 4711."""
    return app.get("/4711/login").text


Query = Callable[[str], list[Any]]


@pytest.fixture
def query(settings: Config) -> Query:
    """Looks into the database beside the service."""

    def run(sql: str) -> list[Any]:
        with closing(connect_beside(settings)) as connection:
            return connection.execute(sql).fetchall()

    return run


def high_scores(store: Store, level_id: int) -> str:
    """The high-score list of a level, whether it is there at once or comes from a server."""
    found = store.boards.high_scores(level_id)
    return found if isinstance(found, str) else found.result()


def user_of(store: Store, key: str) -> int | None:
    """The user of a session, None where there is none."""
    session = store.sessions.find(key)
    return session.user_id if session else None


def connect_beside(settings: Config) -> Any:
    """Returns a connection of the engine's own library, which commits at each statement."""
    if settings.database.url:
        return psycopg.connect(settings.database.url, autocommit=True)
    return sqlite3.connect(settings.database.path, isolation_level=None)
