from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

from scoresvc import config, errors
from scoresvc.api.dispatch import Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.errors import Refusal
from scoresvc.http import errors as http_errors
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store, open_store
from scoresvc.storage.sqlite.library import sqlite3


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


@pytest.fixture
def settings(database_path: Path) -> Config:
    return Config(database=config.DatabaseOptions(path=database_path))


@pytest.fixture
def store(settings: Config, clock: Clock) -> Iterator[Store]:
    with closing(open_store(settings, clock, NAMES)) as store:
        yield store


@pytest.fixture
def app(store: Store) -> TestApp:
    """The service under WebTest, whose lint checks every call against PEP 3333."""
    return make_app(store)


def make_app(store: Store) -> TestApp:
    return TestApp(Application(Api(store, EVERYTHING)))


@pytest.fixture
def key(app: TestApp) -> str:
    """A session key of user 4711."""
    return app.get("/4711/login").text


Query = Callable[[str], list[Any]]


@pytest.fixture
def query(database_path: Path, store: Store) -> Query:
    """Looks into the database beside the service."""

    def run(sql: str) -> list[Any]:
        with closing(sqlite3.connect(database_path)) as connection:
            return connection.execute(sql).fetchall()

    return run
