"""High-score lists: the writer keeps those current that somebody reads, and no reader gets an old one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.config import Config
from scoresvc.levels import LevelSettings
from scoresvc.storage import Store, migrate_database
from scoresvc.storage.cache import PUTS_MAX
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Lists, add_score
from scoresvc.storage.sqlite.versions import LevelVersions

pytestmark = pytest.mark.sqlite


def settings_of(level_id: int) -> LevelSettings:
    return LevelSettings()


@pytest.fixture
def reads(store: Store) -> Iterator[list[str]]:
    """The statements for lists that were run by readers, not by the writer, once it knows that it writes alone."""
    store.boards.high_scores(1)
    store.scores.post(1, 7, 1).result()
    statements: list[str] = []
    read = Readers.read

    def note(readers: Readers, sql: str, values: dict[str, object]) -> list[object]:
        if "group_concat" in sql:
            statements.append(sql)
        return read(readers, sql, values)

    with patch.object(Readers, "read", note):
        yield statements


def test_a_list_that_is_read_again_after_each_post_is_read_from_the_database_once(
    store: Store, reads: list[str]
) -> None:
    lists = [store.boards.high_scores(2)]
    for score in range(3):
        store.scores.post(2, 7, score).result()
        lists.append(store.boards.high_scores(2))

    assert lists == ["", "7=0", "7=1", "7=2"]
    assert len(reads) == 1


def test_a_list_that_nobody_reads_any_more_is_not_kept_current(store: Store, reads: list[str]) -> None:
    store.boards.high_scores(2)
    for score in range(PUTS_MAX + 1):
        store.scores.post(2, 7, score).result()

    assert store.boards.high_scores(2) == f"7={PUTS_MAX}"
    assert len(reads) == 2


def test_posts_to_several_levels_change_each_of_their_lists(store: Store, reads: list[str]) -> None:
    for level_id in range(20):
        store.boards.high_scores(level_id)
    del reads[:]

    for write in [store.scores.post(level_id, 7, 100 + level_id) for level_id in range(20)]:
        write.result()

    assert [store.boards.high_scores(level_id) for level_id in range(20)] == [f"7={100 + n}" for n in range(20)]
    assert reads == []


def test_a_post_that_wants_its_rank_changes_the_list_too(store: Store, reads: list[str]) -> None:
    store.boards.high_scores(2)
    store.scores.post_and_rank(2, 7, 1).result()

    assert store.boards.high_scores(2) == "7=1"
    assert len(reads) == 1


def test_a_list_is_read_again_after_another_process_has_posted(settings: Config, tmp_path: Path) -> None:
    """Also where that process has told so before the writer did, whose word then hides the other one."""
    migrate_database(settings)
    path = settings.database.path
    readers, versions = Readers(path), LevelVersions(tmp_path / "versions")
    lists = Lists(readers, versions, settings_of)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as writing,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        lists.list_of(2)
        lists.update(writing, [(2, 7, 0, None)])  # from now on it is alone
        assert lists.list_of(2) == ""

        other.execute("INSERT INTO scores VALUES (2, 0, 8, 9, 1)")
        writing.execute("INSERT INTO scores VALUES (2, 0, 7, 1, 2)")
        lists.update(writing, [(2, 7, 1, None)])

        assert lists.list_of(2) == "8=9,7=1"

        writing.execute("UPDATE scores SET score = 10 WHERE user_id = 7")
        lists.update(writing, [(2, 7, 10, None)])

        assert lists.list_of(2) == "7=10,8=9"
    readers.close()
    versions.close()


def test_a_writer_that_cannot_ask_who_else_writes_leaves_a_list_to_the_next_reader(
    settings: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    migrate_database(settings)
    readers, versions = Readers(settings.database.path), LevelVersions(tmp_path / "versions")
    lists = Lists(readers, versions, settings_of)
    broken = sqlite3.connect(settings.database.path)
    broken.close()
    lists.list_of(2)

    lists.update(broken, [(2, 7, 1, None)])

    assert lists.list_of(2) == ""
    assert "cannot update lists after a commit" in caplog.text
    readers.close()
    versions.close()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), max_size=60))
def test_a_list_with_a_score_added_is_the_list_of_all_bests(posts: list[tuple[int, int]]) -> None:
    text = ""
    bests: dict[int, tuple[int, int]] = {}  # of each user the score, negative, and when it was reached
    for reached_at, (user_id, score) in enumerate(posts):
        text = add_score(text, user_id, score)
        if user_id not in bests or score > -bests[user_id][0]:
            bests[user_id] = -score, reached_at

    best_users = sorted(bests, key=bests.__getitem__)[:15]
    assert text == ",".join([f"{user_id}={-bests[user_id][0]}" for user_id in best_users])
