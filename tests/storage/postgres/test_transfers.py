"""A database moves from SQLite to PostgreSQL and back by export and import."""

from __future__ import annotations

import json

import pytest

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import find_faults
from tests.conftest import Clock
from tests.storage.test_moderation_model import Run
from tests.storage.test_transfers import read_all, write_all


def read_objects(settings: Config) -> dict[str, list[str]]:
    """What is exported; PostgreSQL gives rows, and the names in an object, in another order."""
    return {
        what: sorted(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines())
        for what, text in write_all(settings).items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_there_and_back_again_everything_is_as_it_was(
    settings: Config, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("sqlite")
    old = Config(database=DatabaseOptions(path=folder / "old.sqlite3"))
    again = Config(database=DatabaseOptions(path=folder / "again.sqlite3"))
    run = Run(seed, old, Clock())
    for _ in range(250):
        run.step()
    run.store.close()
    before = read_objects(old)

    read_all(settings, write_all(old))
    read_all(again, write_all(settings))

    for config in (settings, again):
        assert read_objects(config) == before
        assert list(find_faults(config)) == []
