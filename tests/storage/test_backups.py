"""Backups and what comes back from them, on files that nobody serves; tests/serve/test_backups.py has the others."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.cli import main
from scoresvc.storage import Store
from scoresvc.storage.sqlite.backups import find_backups, time_of
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.placing import part_beside
from tests.storage.older import make_older_database

pytestmark = pytest.mark.sqlite

Run = Callable[..., str]

BESIDE = ("-wal", "-shm", "-journal", ".part", ".part-wal", ".part-shm", ".part-journal", ".part.lock")


@pytest.fixture
def filled(store: Store, database_path: Path) -> Path:
    """A database with a score of each of 2,000 users, which nobody has open."""
    for write in [store.scores.post(2, user, user * 7) for user in range(2000)]:
        write.result()
    store.close()
    return database_path


@pytest.fixture
def run(filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in the folder of the database; returns what it printed, or its one line of complaint."""
    monkeypatch.chdir(filled.parent)

    def run_command(*arguments: object) -> str:
        status = main([str(each) for each in arguments])
        printed = capsys.readouterr()
        assert (printed.err == "") == (status == 0)
        assert status == 0 or (printed.out == "" and printed.err.count("\n") == 1)
        return printed.out or printed.err

    return run_command


def contents(path: Path) -> list[str]:
    """All that is in a database: its schema, and each row of each table."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        schema = connection.execute("SELECT name, type, sql FROM sqlite_schema ORDER BY name").fetchall()
        tables = [name for name, kind, _ in schema if kind == "table"]
        rows = [(name, row) for name in tables for row in connection.execute(f'SELECT * FROM "{name}"')]
        return [*map(repr, schema), *sorted(map(repr, rows))]


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(sql)


def leftovers(folder: Path) -> list[str]:
    """What a backup or a restoration should have taken away again; the database itself may have a log."""
    found = [path.name for path in folder.iterdir() if path.name.endswith(BESIDE)]
    return sorted(name for name in found if not name.startswith(("scores.sqlite3-", "scores-replaced")))


# Backups


def test_a_backup_is_the_whole_database_in_one_file(run: Run, filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"

    assert run("backup", target) == f"{target}\n"

    assert contents(target) == contents(filled)
    assert run("check", "--database", target).startswith("no problems found")
    assert leftovers(tmp_path) == []


def test_the_second_night_replaces_the_backup_of_the_first(run: Run, filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"
    run("backup", target)
    change(filled, "DELETE FROM sessions; UPDATE users SET name = 'Ada';")

    run("backup", target)

    assert contents(target) == contents(filled)


def test_a_folder_gets_backups_by_time_and_keeps_the_newest(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "nights"
    folder.mkdir()
    for day in ("20261101", "20261102", "20261103"):
        (folder / f"scores-{day}T030000Z.sqlite3").touch()
    (folder / "scores-notes.txt").touch()

    made = Path(run("backup", folder, "--keep", 2).strip())

    assert [path.name for path in find_backups(folder)] == ["scores-20261103T030000Z.sqlite3", made.name]
    assert (folder / "scores-notes.txt").exists()
    assert time_of(folder / "scores-20261103T030000Z.sqlite3") == 1_793_674_800
    assert leftovers(folder) == []


def test_a_folder_of_the_options_is_where_backups_go(run: Run, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[backup]\nfolder = nights\n")
    (tmp_path / "nights").mkdir()

    assert Path(run("backup").strip()).parent == tmp_path / "nights"


def test_a_backup_without_a_place_is_refused(run: Run) -> None:
    assert "name a file or a folder" in run("backup")


@pytest.mark.parametrize("keep", ["0", "-1", "x"])
def test_a_number_to_keep_that_is_none_is_refused(run: Run, tmp_path: Path, keep: str) -> None:
    assert "--keep must be a whole number" in run("backup", tmp_path, f"--keep={keep}")


def test_a_mistyped_database_makes_no_backup(run: Run, tmp_path: Path) -> None:
    refusal = run("backup", tmp_path / "copy.sqlite3", "--database", tmp_path / "typo.sqlite3")

    assert "there is no database" in refusal
    assert not (tmp_path / "copy.sqlite3").exists()
    assert not (tmp_path / "typo.sqlite3").exists()


def test_what_is_no_database_is_not_backed_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes" * 1000)
    change(tmp_path / "other.sqlite3", "CREATE TABLE things (name)")

    for name in ("notes.txt", "other.sqlite3"):
        run("backup", tmp_path / "copy.sqlite3", "--database", tmp_path / name)
        assert not (tmp_path / "copy.sqlite3").exists()
    assert leftovers(tmp_path) == []


def test_a_backup_replaces_nothing_but_backups(run: Run, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("ten years of work")
    before = contents(filled)

    assert "is no database" in run("backup", tmp_path / "thesis.odt")
    assert "is no place" in run("backup", filled)
    assert "there is no folder" in run("backup", tmp_path / "nowhere" / "copy.sqlite3")

    assert (tmp_path / "thesis.odt").read_text() == "ten years of work"
    assert contents(filled) == before


def test_a_database_with_faults_is_not_backed_up_over_a_good_backup(run: Run, filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"
    run("backup", target)
    good = contents(target)
    change(filled, "DROP INDEX scores_by_rank")

    assert "the first is: the index scores_by_rank is missing" in run("backup", target)

    assert contents(target) == good
    assert leftovers(tmp_path) == []


def test_a_database_is_backed_up_before_it_is_migrated(run: Run, tmp_path: Path) -> None:
    older = tmp_path / "older.sqlite3"
    make_older_database(older, 1, [(2, 4711, 1500, 1)])

    run("backup", tmp_path / "copy.sqlite3", "--database", older)

    assert contents(tmp_path / "copy.sqlite3") == contents(older)


def test_of_two_backups_at_once_the_second_is_refused(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"

    with part_beside(target):
        assert "another process writes" in run("backup", target)

    run("backup", target)


SIZES = (0, 1, 4, 8, *range(16, 336, 20))  # KiB; the database takes more


def run_on_full_disk(folder: Path, kilobytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that can write files of this size at most, as where a disk fills."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    command = [sys.executable, "-m", "scoresvc", *arguments]
    return subprocess.run(command, cwd=folder, preexec_fn=limit, capture_output=True, text=True)


@pytest.mark.parametrize("kilobytes", SIZES)
def test_a_disk_that_is_full_costs_no_backup_that_there_is(
    run: Run, filled: Path, tmp_path: Path, kilobytes: int
) -> None:
    run("backup", tmp_path / "copy.sqlite3")
    good = contents(tmp_path / "copy.sqlite3")
    assert kilobytes * 1024 < filled.stat().st_size

    ended = run_on_full_disk(tmp_path, kilobytes, "backup", "copy.sqlite3")

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert contents(tmp_path / "copy.sqlite3") == good
    assert leftovers(tmp_path) == []


def test_postgresql_has_tools_of_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[database]\nurl = postgresql://127.0.0.1/scores\n")

    assert "pg_dump" in run("backup", tmp_path)
    assert "pg_restore" in run("restore", tmp_path / "copy.sqlite3")


# Back again


@pytest.fixture
def backup(run: Run, filled: Path, tmp_path: Path) -> Path:
    """A backup of the database, which has changed since."""
    target = tmp_path / "backup.sqlite3"
    run("backup", target)
    change(filled, "DELETE FROM sessions; INSERT INTO tokens VALUES ('later', zeroblob(32), 'all', '*', NULL);")
    return target


def test_a_backup_takes_the_place_of_the_database_which_is_kept(run: Run, filled: Path, backup: Path) -> None:
    before, wanted = contents(filled), contents(backup)

    printed = run("restore", backup)

    aside = Path(printed.split()[-1])
    assert contents(filled) == wanted
    assert contents(aside) == before
    assert contents(backup) == wanted
    assert leftovers(filled.parent) == []


def test_a_backup_is_restored_where_there_is_no_database(run: Run, filled: Path, backup: Path) -> None:
    filled.unlink()
    filled.with_name(filled.name + "-wal").write_bytes(b"of a database that is gone")

    printed = run("restore", backup)

    assert contents(filled) == contents(backup)
    assert "is now" in printed  # the log that was left alone is kept, too


def test_the_log_of_a_database_that_was_killed_never_meets_the_backup(run: Run, filled: Path, backup: Path) -> None:
    program = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute(\"UPDATE tokens SET name = 'last'\")\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(filled)])
    assert filled.with_name(filled.name + "-wal").stat().st_size > 0

    aside = Path(run("restore", backup).split()[-1])

    assert contents(filled) == contents(backup)
    assert not filled.with_name(filled.name + "-wal").exists()
    assert any("'last'" in line for line in contents(aside))


def test_a_damaged_database_is_kept_with_its_log(run: Run, filled: Path, backup: Path) -> None:
    filled.write_bytes(b"damaged" * 1000)
    log = filled.with_name(filled.name + "-wal")
    log.write_bytes(b"its log")

    aside = Path(run("restore", backup).split()[-1])

    assert contents(filled) == contents(backup)
    assert aside.read_bytes() == b"damaged" * 1000
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"its log"


@pytest.mark.parametrize("kilobytes", SIZES[::2])
def test_a_disk_that_is_full_leaves_the_database_that_was_there(
    run: Run, filled: Path, backup: Path, kilobytes: int
) -> None:
    before = contents(filled)

    ended = run_on_full_disk(filled.parent, kilobytes, "restore", backup.name)

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert contents(filled) == before
    assert leftovers(filled.parent) == []


@pytest.mark.parametrize("kilobytes", SIZES[::2])
def test_a_disk_that_fills_in_an_import_leaves_a_part_that_is_right(
    run: Run, filled: Path, tmp_path: Path, kilobytes: int
) -> None:
    rows = [f"3,{user},{user}\n" for user in range(6000)]
    (tmp_path / "rows.csv").write_text("level,user,score\n" + "".join(rows))

    ended = run_on_full_disk(tmp_path, kilobytes, "import", "rows.csv")

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert run("check").startswith("no problems found")
    assert run("import", "rows.csv").endswith("0 refused\n")
    assert run("import", "rows.csv") == "0 imported, 6000 unchanged, 0 refused\n"


def test_a_backup_of_an_older_version_is_brought_up_to_date(run: Run, filled: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.sqlite3"
    make_older_database(older, 1, [(2, 4711, 1500, 1)])

    run("restore", older)

    assert run("check").startswith("no problems found")
    assert any("1500" in line for line in contents(filled) if "scores" in line)


def test_what_is_no_good_backup_is_refused_and_changes_nothing(run: Run, filled: Path, backup: Path) -> None:
    folder = filled.parent
    bad = {name: folder / f"{name}.sqlite3" for name in ("newer", "faulty", "other", "empty", "text", "half")}
    for name in ("newer", "faulty"):
        shutil.copy(backup, bad[name])
    change(bad["newer"], "PRAGMA user_version = 99")
    change(bad["faulty"], "DROP INDEX scores_by_rank")
    change(bad["other"], "CREATE TABLE things (name)")
    bad["empty"].touch()
    bad["text"].write_text("notes" * 1000)
    bad["half"].write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    before = contents(filled)

    for path in (*bad.values(), folder / "nowhere.sqlite3", folder, filled):
        refusal = run("restore", path)
        assert path.name in refusal, refusal
        assert contents(filled) == before

    assert leftovers(folder) == []
    assert not list(folder.glob("*-replaced-*"))


def test_nothing_is_restored_while_another_process_has_the_database(run: Run, filled: Path, backup: Path) -> None:
    before = contents(filled)

    with closing(WritingConnection(filled)):
        assert "stop it first" in run("restore", backup)

    assert contents(filled) == before


def test_a_folder_that_is_left_at_any_moment_has_a_whole_database(filled: Path, run: Run, tmp_path: Path) -> None:
    run("backup", tmp_path / "backup.sqlite3")
    change(filled, "INSERT INTO tokens VALUES ('later', zeroblob(32), 'all', '*', NULL)")
    either = [contents(filled), contents(tmp_path / "backup.sqlite3")]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    for command, wait in [(name, 0.02 * step) for name in ("backup", "restore") for step in range(5, 25, 2)]:
        started = subprocess.Popen(
            [sys.executable, "-m", "scoresvc", command, "backup.sqlite3"],
            cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            started.wait(wait)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        assert contents(filled) in either
        assert contents(tmp_path / "backup.sqlite3") in either
