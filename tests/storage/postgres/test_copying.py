"""A database moves from SQLite to PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, DatabaseOptions
from scoresvc.errors import StartError
from scoresvc.periods import ALL_TIME, WISH_ALL
from scoresvc.storage import Store, copy_database, find_faults, open_store
from tests.conftest import high_scores, user_of


@pytest.fixture
def sqlite_settings(database_path: Path) -> Config:
    return Config(database=DatabaseOptions(path=database_path))


def fill(store: Store) -> None:
    for write in [store.scores.post(user % 3, user, user * 7 % 1000) for user in range(4000)]:
        write.result()


def test_scores_sessions_and_cursors_are_those_of_before(sqlite_settings: Config, new_settings: Config) -> None:
    with closing(open_store(sqlite_settings, counted=NAMES)) as old:
        fill(old)
        key = old.sessions.log_in(7).result().key
        page = old.boards.page(1, ALL_TIME, 20, None)
        answers = [
            old.boards.page(1, ALL_TIME, 20, page.next),
            old.boards.standing(2, ALL_TIME, 2),
            old.boards.user_scores(7, WISH_ALL),
        ]
        lists = [high_scores(old, level) for level in range(4)]

    assert copy_database(new_settings, sqlite_settings.database.path) == {
        "scores": 4000,
        "sessions": 1,
        "cursor_key": 1,
    }

    with closing(open_store(new_settings, counted=NAMES)) as new:
        assert [high_scores(new, level) for level in range(4)] == lists
        assert [
            new.boards.page(1, ALL_TIME, 20, page.next),
            new.boards.standing(2, ALL_TIME, 2),
            new.boards.user_scores(7, WISH_ALL),
        ] == answers
        assert user_of(new, key) == 7
    assert list(find_faults(new_settings)) == []


def test_a_database_with_scores_is_not_copied_into(sqlite_settings: Config, new_settings: Config) -> None:
    for settings in (sqlite_settings, new_settings):
        with closing(open_store(settings, counted=NAMES)) as store:
            store.scores.post(2, 7, 1500).result()

    with pytest.raises(StartError, match="has scores already"):
        copy_database(new_settings, sqlite_settings.database.path)


def test_what_is_no_database_of_this_version_is_refused(tmp_path: Path, new_settings: Config) -> None:
    other = tmp_path / "other.sqlite3"
    with pytest.raises(StartError, match="there is no database"):
        copy_database(new_settings, other)
    other.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StartError, match="cannot read"):
        copy_database(new_settings, other)
    other.write_bytes(b"")
    with pytest.raises(StartError, match="has version 0"):
        copy_database(new_settings, other)


def test_without_a_url_there_is_nothing_to_copy_into(sqlite_settings: Config) -> None:
    with pytest.raises(StartError, match="needs"):
        copy_database(replace(sqlite_settings), sqlite_settings.database.path)
