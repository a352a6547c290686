"""High-score lists: the writer keeps those current that somebody reads, and no reader gets an old one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from scoresvc.config import Config
from scoresvc.storage import Store, migrate_database
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Lists
from scoresvc.storage.sqlite.versions import LevelVersions

pytestmark = pytest.mark.sqlite


@pytest.fixture
def reads(store: Store) -> Iterator[list[str]]:
    """The statements that were run by readers, not by the writer."""
    statements: list[str] = []
    read = Readers.read

    def note(readers: Readers, sql: str, values: dict[str, object]) -> list[object]:
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
    store.scores.post(2, 7, 1).result()
    store.scores.post(2, 7, 2).result()

    assert store.boards.high_scores(2) == "7=2"
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


def test_a_change_of_another_process_during_the_update_makes_the_list_stale(settings: Config, tmp_path: Path) -> None:
    migrate_database(settings)
    path = settings.database.path
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        readers, versions = Readers(path), LevelVersions(tmp_path / "versions")
        lists = Lists(readers, versions)
        lists.list_of(2)
        scores = itertools.count(1)

        class Interrupted:
            """A connection; when the list has been read through it, another process posts."""

            def execute(self, sql: str, values: dict[str, object]) -> sqlite3.Cursor:
                rows = writing.execute(sql, values).fetchall()
                writing.execute("INSERT INTO scores VALUES (2, 7, ?, 1)", (next(scores),))
                versions.advance(2)
                return writing.execute("SELECT ?", rows[0])

        lists.update(Interrupted(), [2])  # type: ignore[arg-type]

        assert lists.list_of(2) == "7=1"
        readers.close()
        versions.close()


def test_a_writer_that_cannot_read_a_list_leaves_it_to_the_next_reader(
    store: Store, reads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    store.boards.high_scores(2)

    with patch("scoresvc.storage.sqlite.lists._read_all", side_effect=sqlite3.OperationalError("disk I/O error")):
        store.scores.post(2, 7, 1).result()

    assert store.boards.high_scores(2) == "7=1"
    assert "cannot read lists after a commit" in caplog.text
