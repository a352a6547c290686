from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from scoresvc.api.metrics import NAMES
from scoresvc.cli import main
from scoresvc.config import Config
from scoresvc.storage import open_store
from tests.conftest import high_scores

Shell = Callable[..., str]


@pytest.fixture
def shell(
    settings: Config, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Runs a command beside the database; returns what it printed, or its one line of complaint."""
    folder = settings.database.path.parent
    (folder / "config.ini").write_text(f"[database]\npath = {settings.database.path}\nurl = {settings.database.url}\n")
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> str:
        status = main(arguments)
        printed = capsys.readouterr()
        assert (printed.err == "") == (status == 0)
        assert status == 0 or (printed.out == "" and printed.err.count("\n") == 1)
        return printed.out or printed.err

    return run


@pytest.fixture
def post(settings: Config) -> Callable[[int, int, int], None]:
    """Posts level, user and score while no service runs."""

    def run(level_id: int, user_id: int, score: int) -> None:
        with closing(open_store(settings, None, NAMES)) as store:
            store.scores.post(level_id, user_id, score).result()

    return run


@pytest.fixture
def board(settings: Config) -> Callable[[int], str]:
    """Reads a list while no service runs."""

    def read(level_id: int) -> str:
        with closing(open_store(settings, None, NAMES)) as store:
            return high_scores(store, level_id)

    return read
