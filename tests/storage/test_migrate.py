from __future__ import annotations

import multiprocessing
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.cli import main
from scoresvc.errors import StartError
from scoresvc.storage.sqlite import connections
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3, supports_multiple_writers
from scoresvc.storage.sqlite.migrate import migrate, read_migrations, split_statements
from tests.running import run_on_terminal
from tests.storage.older import make_older_database


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_migrations_are_numbered_without_a_gap() -> None:
    versions = [migration.version for migration in read_migrations()]

    assert versions == list(range(1, len(versions) + 1))


def test_an_empty_database_is_brought_up_to_date_once(database_path: Path) -> None:
    names = [migration.name for migration in read_migrations()]

    with closing(WritingConnection(database_path)) as database:
        assert migrate(database) == names
        assert migrate(database) == []

    assert version(database_path) == len(names)


def test_a_database_that_is_newer_than_the_code_is_refused_and_left_alone(database_path: Path) -> None:
    with closing(sqlite3.connect(database_path)) as connection:
        connection.execute("PRAGMA user_version = 9999")

    with closing(WritingConnection(database_path)) as database, pytest.raises(StartError, match="has version 9999"):
        migrate(database)

    assert version(database_path) == 9999


def test_a_migration_that_fails_leaves_nothing(database_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, broken = "CREATE TABLE half (n);", "CREATE TABLE whole (n); INSERT INTO nowhere VALUES (1);"
    bad = read_migrations()[0]._replace(sql=f"{good}\n{broken}\n")
    monkeypatch.setattr("scoresvc.storage.sqlite.migrate.read_migrations", lambda: [bad])

    with closing(WritingConnection(database_path)) as database:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            migrate(database)
        assert database.connection.execute("SELECT name FROM sqlite_master").fetchall() == []

    assert version(database_path) == 0


def test_a_locked_database_is_said_in_one_line(
    database_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_older_database(database_path, 3, [(1, 7, 5, 5)])
    monkeypatch.setattr(connections, "OPEN_TIMEOUT", 0.1)

    with closing(sqlite3.connect(database_path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        status = main(["migrate", "--database", str(database_path)])

    assert status == 1
    assert capsys.readouterr().err == f"scoresvc: cannot write to the database {database_path}: database is locked\n"


def test_a_terminal_shows_how_far_a_migration_is(database_path: Path) -> None:
    make_older_database(database_path, 3, [(1, user, user, user) for user in range(5000)])

    assert "migration: 100%" in run_on_terminal("migrate", "--database", str(database_path))
    assert "%" not in run_on_terminal("migrate", "--database", str(database_path))


def test_a_trigger_stays_one_statement() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;"

    assert list(split_statements(f"-- why; it is so\nSELECT ';';{trigger}")) == [
        "-- why; it is so\nSELECT ';';",
        trigger,
    ]


def test_what_follows_the_last_statement_is_for_sqlite_to_judge() -> None:
    assert list(split_statements("SELECT 1;\nSELECT '")) == ["SELECT 1;", "\nSELECT '"]


def _start(path: Path, answers: multiprocessing.Queue[str]) -> None:
    try:
        with closing(WritingConnection(path)) as database:
            migrate(database)
    except StartError as error:
        answers.put(str(error))
    else:
        answers.put("up")


@pytest.mark.skipif(not supports_multiple_writers(), reason="this SQLite does not support several writing processes")
def test_two_that_start_at_once_both_come_up(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    starters = [
        context.Process(target=_start, args=(tmp_path / f"{number // 4}.sqlite3", answers)) for number in range(12)
    ]

    for starter in starters:
        starter.start()
    said = [answers.get(timeout=30) for _ in starters]
    for starter in starters:
        starter.join()
    answers.close()

    assert said == ["up"] * len(starters)
