"""A database moves from SQLite to PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc.actions import AddToken, BanUser, RemoveScore, SetLevel, UndoAction
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, DatabaseOptions
from scoresvc.errors import StartError
from scoresvc.periods import ALL_TIME, read_wish
from scoresvc.storage import Store, copy_database, find_faults, open_store
from scoresvc.storage.keys import hash_key
from tests.conftest import high_scores, user_of


@pytest.fixture
def sqlite_settings(database_path: Path) -> Config:
    return Config(database=DatabaseOptions(path=database_path))


def fill(store: Store) -> None:
    for write in [store.scores.post(user % 3, user, user * 7 % 1000) for user in range(4000)]:
        write.result()


def operate(store: Store) -> None:
    """Leaves something in every table."""
    actions = [
        SetLevel(5, {"order": "asc", "periods": ["day", "week"]}),
        AddToken("ann", hash_key("secret"), ("read",)),
        BanUser(9, "cheats", hide=True),
    ]
    for action in actions:
        store.admin.perform("operator", action).result()
    for score in (30, 20, 10):
        store.scores.post(5, 7, score).result()
    store.admin.perform("operator", RemoveScore(5, 7, 0)).result()


def answers(store: Store, cursor: str | None) -> list[object]:
    return [
        [high_scores(store, level) for level in range(6)],
        store.boards.page(1, ALL_TIME, 20, cursor),
        store.boards.standing(2, ALL_TIME, 2),
        [store.boards.user_scores(7, read_wish(wish)) for wish in ("all", "day", "week", "month")],
        store.levels.levels(10, None),
        store.levels.settings_of(5),
        store.admin.user(9),
        store.admin.submissions(5, None, None, 10, None),
        store.admin.actions(10, None),
        store.admin.tokens(),
    ]


def test_all_answers_are_those_of_before(sqlite_settings: Config, new_settings: Config) -> None:
    with closing(open_store(sqlite_settings, counted=NAMES)) as old:
        fill(old)
        operate(old)
        key = old.sessions.log_in(7).result().key
        cursor = old.boards.page(1, ALL_TIME, 20, None).next
        before = answers(old, cursor)

    assert copy_database(new_settings, sqlite_settings.database.path) == {
        "scores": 4002,  # without those of 9; with a day and a week
        "submissions": 4003,
        "level_settings": 1,
        "bans": 1,
        "users": 0,
        "keyed_posts": 0,
        "tokens": 1,
        "actions": 4,
        "sessions": 1,
        "cursor_key": 1,
    }

    with closing(open_store(new_settings, counted=NAMES)) as new:
        assert answers(new, cursor) == before
        assert user_of(new, key) == 7
        new.admin.perform("operator", UndoAction(4)).result()
        new.scores.post(5, 8, 15).result()
        assert high_scores(new, 5) == "7=10,8=15"
        assert [each.id for each in new.admin.submissions(5, None, None, 2, None).submissions] == [4004, 4003]
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
