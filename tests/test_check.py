from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.cli import main
from scoresvc.sqlite import sqlite3
from scoresvc.store import Store

Damage = Callable[[str], None]


@pytest.fixture
def filled(store: Store, database_path: Path) -> Path:
    """A database with 2,000 players on each of two levels, which nobody has open."""
    for level in (2, 3):
        posts = [(level, user, user % 1500) for user in range(2000)]
        store._database.write(lambda connection, rows: [store._keep_scores(connection, rows[0])], posts)
    store.close()
    return database_path


@pytest.fixture
def damage(filled: Path) -> Damage:
    """Runs SQL on the database, as nobody should."""

    def run(sql: str) -> None:
        with closing(sqlite3.connect(filled)) as connection, connection:
            connection.executescript(sql)

    return run


def check(path: Path, *options: str) -> int:
    return main(["check", "--database", str(path), *options])


def test_a_sound_database_is_well(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(filled) == 0

    assert capsys.readouterr().out == f"all is well in {filled}\n"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (
            "UPDATE rank_blocks SET players = players + 1 WHERE level_id = 2 AND lowest_score > 0",
            "level 2: the block from",
        ),
        ("UPDATE rank_blocks SET players = 0", "level 3: the block from 0 has"),
        ("DELETE FROM rank_blocks", "level 2 has no block"),
        ("DELETE FROM rank_blocks WHERE lowest_score > 0", "level 2: the block from 0 has 2000 players, not"),
        (
            "UPDATE rank_groups SET players = 7 WHERE level_id = 3",
            "level 3: the group from 0 has blocks of 2000 players, not 7",
        ),
        ("INSERT INTO rank_groups VALUES (2, 3, 0)", "level 2: the group from 3 begins inside a block"),
        ("INSERT INTO rank_blocks VALUES (9, 0, 1)", "level 9: the block from 0 has 0 players, not 1"),
        (
            "DROP TRIGGER rank_enter; INSERT INTO scores VALUES (4, 1, 1, 1)",
            "the trigger rank_enter is missing\nlevel 4 has no block",
        ),
        (
            "PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(sql, 'score DESC', 'score') WHERE name = 'scores_by_rank'",
            "the index scores_by_rank is not as the migrations make it",
        ),
    ],
)
def test_what_is_wrong_is_said(
    filled: Path, damage: Damage, capsys: pytest.CaptureFixture[str], sql: str, fault: str
) -> None:
    damage(sql)

    assert check(filled) == 1

    assert fault in capsys.readouterr().out


def test_a_score_that_is_missing_from_an_index_is_said_and_repaired(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writable = "PRAGMA writable_schema = ON"
    with closing(sqlite3.connect(filled)) as connection, connection:
        index = connection.execute("SELECT * FROM sqlite_schema WHERE name = 'scores_by_rank'").fetchone()
        connection.execute(writable)
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'scores_by_rank'")
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("INSERT INTO scores VALUES (2, 9999, 5, 5)")
        connection.execute(writable)
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)

    assert check(filled) == 1
    assert "missing from index scores_by_rank" in capsys.readouterr().out
    assert check(filled, "--repair") == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE rank_blocks SET players = 0",
        "DELETE FROM rank_blocks; DELETE FROM rank_groups",
        "INSERT INTO rank_groups VALUES (9, 0, 1)",
    ],
)
def test_repair_makes_the_ranks_anew(
    filled: Path, damage: Damage, capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    damage(sql)

    assert check(filled, "--repair") == 0

    assert capsys.readouterr().out.endswith(f"made anew\nall is well in {filled}\n")
    assert check(filled) == 0


def test_a_check_leaves_the_file_as_it_is(filled: Path) -> None:
    before = filled.read_bytes()

    check(filled)

    assert filled.read_bytes() == before


def test_a_check_needs_a_database_of_this_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "none.sqlite3") == 1
    with closing(sqlite3.connect(tmp_path / "old.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert check(tmp_path / "old.sqlite3") == 1

    missing, old = capsys.readouterr().err.splitlines()
    assert "there is no database" in missing
    assert "version 1, not 2; run scoresvc migrate" in old


def test_a_file_that_is_no_database_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear studio, " * 1000)

    assert check(path) == 1

    assert "cannot be read: file is not a database" in capsys.readouterr().out
