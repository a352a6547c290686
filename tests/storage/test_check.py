from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.cli import main
from scoresvc.storage import Store
from scoresvc.storage.sqlite import connections
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import run_on_terminal

pytestmark = pytest.mark.sqlite

Damage = Callable[[str], None]


@pytest.fixture
def filled(store: Store, database_path: Path) -> Path:
    """A database with 5,000 players on each of two levels, which nobody has open."""
    for level in (2, 3):
        for first in (0, 2500):
            for write in [store.scores.post(level, user, user % 1500) for user in range(first, first + 2500)]:
                write.result()
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


def test_in_a_sound_database_no_problems_are_found(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(filled) == 0

    assert capsys.readouterr().out == f"no problems found in {filled}\n"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE bands SET players = players + 1 WHERE level_id = 2", "level 2: the band from"),
        ("DELETE FROM bands WHERE level_id = 3", "level 3 has 5000 players, but no bands"),
        ("UPDATE boards SET players = 7 WHERE level_id = 3", "level 3 has 5000 players, not 7"),
        (
            "DROP TRIGGER score_insert; INSERT INTO scores VALUES (4, 0, 1, 1, 1)",
            "the trigger score_insert is missing\nlevel 4 has 1 players, not 0",
        ),
        ("INSERT INTO bans VALUES (7, NULL, 0, '')", "level 2: user 7 is banned, but stands there"),
        (
            "DELETE FROM scores WHERE level_id = 2 AND user_id = 7",
            "level 2: user 7 has a submission that stands, but no",
        ),
        (
            "UPDATE scores SET score = 3 WHERE level_id = 2 AND user_id = 7",
            "level 2: user 7 has another score than the submission of that time",
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
        connection.execute("INSERT INTO scores VALUES (2, 0, 9999, 5, 5)")
        connection.execute(writable)
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)

    assert check(filled) == 1
    assert "missing from index scores_by_rank" in capsys.readouterr().out
    assert check(filled, "--repair") == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bands SET players = 0",
        "DELETE FROM bands; DELETE FROM boards",
        "INSERT INTO boards VALUES (9, 0, 1)",
    ],
)
def test_repair_rebuilds_the_ranks(filled: Path, damage: Damage, capsys: pytest.CaptureFixture[str], sql: str) -> None:
    damage(sql)

    assert check(filled, "--repair") == 0

    assert capsys.readouterr().out.endswith(f"repaired\nno problems found in {filled}\n")
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
    assert "version 1, not 6; run scoresvc migrate" in old


def test_a_file_that_is_no_database_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear studio, " * 1000)

    assert check(path) == 1

    assert "cannot be read: file is not a database" in capsys.readouterr().out


@pytest.mark.parametrize(
    "sql", ["INSERT INTO boards VALUES (9, 0, 1)", "INSERT INTO bans VALUES (7, NULL, 0, '')", "DELETE FROM bands"]
)
def test_a_repair_of_a_locked_database_says_so_in_one_line(
    filled: Path, damage: Damage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    damage(sql)
    monkeypatch.setattr(connections, "OPEN_TIMEOUT", 0.1)

    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        status = check(filled, "--repair")

    assert status == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scoresvc")]
    assert lines == [f"scoresvc: cannot write to the database {filled}: database is locked"]


def test_a_repair_without_the_indexes_that_it_needs_says_so_in_one_line(
    filled: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    damage("DROP INDEX submissions_by_user")

    assert check(filled, "--repair") == 1

    out, err = capsys.readouterr()
    assert "the index submissions_by_user is missing" in out
    assert err == f"scoresvc: cannot repair the database {filled}: no such index: submissions_by_user\n"


# Progress


def test_a_terminal_shows_how_far_a_check_is(filled: Path) -> None:
    printed = run_on_terminal("check", "--database", str(filled))

    assert [name for name in ("ranks", "boards", "indexes") if f"{name}: 100%" not in printed] == []


def test_a_terminal_shows_how_far_a_repair_is(filled: Path, damage: Damage) -> None:
    damage("DELETE FROM scores WHERE user_id < 500")

    printed = run_on_terminal("check", "--repair", "--database", str(filled))
    repairing = printed.partition("repaired")[0]

    assert repairing.count("boards: 100%") > 1
    assert "no problems found" in printed


def test_elsewhere_no_progress_is_shown(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(filled, "--repair")

    assert capsys.readouterr().err == ""
