"""`scoresvc export` and `scoresvc import`, while no service runs."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.actions import BanUser, RemoveScore, SetLevel
from scoresvc.api.metrics import NAMES
from scoresvc.cli import main
from scoresvc.config import Config
from scoresvc.periods import ALL_TIME
from scoresvc.storage import find_faults, open_store
from tests.running import run_on_terminal
from tests.transfer.test_rows_as_text import RIVAL_COLUMNS, RIVALS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(settings: Config, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command in the folder of the database; returns its status, what it printed, and its complaints."""
    folder = settings.database.path.parent
    (folder / "config.ini").write_text(f"[database]\npath = {settings.database.path}\nurl = {settings.database.url}\n")
    monkeypatch.chdir(folder)

    def run_command(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        printed = capfdbinary.readouterr()
        return status, printed.out.decode(), printed.err.decode()

    return run_command


@pytest.fixture
def filled(settings: Config) -> Config:
    """Level 2 with 4711=1500 and 131=1220, level 5 where less is better."""
    with closing(open_store(settings, None, NAMES)) as store:
        store.admin.perform("op", SetLevel(5, {"order": "asc"})).result()
        for level, user, score in ((2, 4711, 1500), (2, 131, 1220), (5, 7, 60), (5, 7, 50)):
            store.scores.post(level, user, score).result()
    return settings


def save(text: str, name: str = "scores.csv") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def board(settings: Config, level: int) -> list[tuple[int, int, str | None]]:
    with closing(open_store(settings, None, NAMES)) as store:
        return [(each.user_id, each.score, each.name) for each in store.boards.page(level, ALL_TIME, 100, None).entries]


def test_scores_are_written_as_csv(filled: Config, run: Run) -> None:
    status, text, _ = run("export", "--level", "5")

    header, row = csv.reader(io.StringIO(text))
    assert status == 0
    assert header == ["level", "period", "user", "score", "reached_at", "name", "meta"]
    assert row[:4] == ["5", "all", "7", "50"]


def test_an_import_shows_what_it_did_and_may_be_repeated(filled: Config, run: Run) -> None:
    _, text, _ = run("export")
    save(text + "2,all,9,2000,2026-11-01T00:00:00Z,,\r\n2,all,131,7,2026-11-01T00:00:00Z,,\r\n")

    assert run("import", "scores.csv") == (0, "1 imported, 4 unchanged, 0 refused\n", "")
    assert run("import", "scores.csv") == (0, "0 imported, 5 unchanged, 0 refused\n", "")

    assert board(filled, 2) == [(9, 2000, None), (4711, 1500, None), (131, 1220, None)]
    assert list(find_faults(filled)) == []


def test_a_dry_run_says_the_same_and_does_nothing(filled: Config, run: Run) -> None:
    file = save("level,user,score,name\n2,9,2000,Ada\n2,131,7,\n2,x,1,\n")

    status, said, complaint = run("import", file, "--dry-run")

    assert (status, said) == (1, "1 would be imported, 1 unchanged, 1 refused\n")
    assert complaint == "scoresvc: line 4: user must be a whole number from 0 to 2147483647\n"
    assert board(filled, 2) == [(4711, 1500, None), (131, 1220, None)]


def test_bad_lines_are_named_and_the_rest_goes_in(filled: Config, run: Run) -> None:
    with closing(open_store(filled, None, NAMES)) as store:
        store.admin.perform("op", BanUser(13, "cheats")).result()
        store.admin.perform("op", RemoveScore(5, 7, 0)).result()
        removed = store.admin.submissions(5, 7, "removed", 1, None).submissions[0]
    file = save(
        f"level,user,score,reached_at\n2,1,-5,\n2,13,1,\n2,2,1,2100-01-01T00:00:00Z\n5,7,50,{int(removed.posted_at)}\n2,3,9,\n"
    )

    status, said, complaint = run("import", file)

    assert (status, said) == (1, "1 imported, 0 unchanged, 4 refused\n")
    assert sorted(complaint.splitlines()) == [
        "scoresvc: line 2: score must be a whole number from 0 to 2147483647",
        "scoresvc: line 3: user 13 is banned",
        "scoresvc: line 4: reached_at is in the future",
        "scoresvc: line 5: the history has it as removed",
    ]
    assert list(find_faults(filled)) == []


def test_replace_takes_what_the_file_says(filled: Config, run: Run) -> None:
    file = save("level,user,score,reached_at,name\n2,4711,900,2026-11-01T00:00:00Z,Ada\n5,7,70,2026-11-01T00:00:00Z,\n")

    assert run("import", file, "--mode", "replace") == (0, "2 imported, 0 unchanged, 0 refused\n", "")
    assert run("import", file, "--mode", "replace") == (0, "0 imported, 2 unchanged, 0 refused\n", "")

    assert board(filled, 2) == [(131, 1220, None), (4711, 900, "Ada")]
    assert board(filled, 5) == [(7, 70, None)]
    assert list(find_faults(filled)) == []
    with closing(open_store(filled, None, NAMES)) as store:
        assert [each.actor for each in store.admin.actions(2, None).actions] == ["import", "import"]


def test_what_was_sent_with_a_score_comes_along(filled: Config, run: Run) -> None:
    file = save('level,user,score,reached_at,meta\n2,9,2000,2026-11-01T00:00:00Z,"ship=x, ""y"""\n')

    run("import", file)

    _, text, _ = run("export", "--level", "2")
    assert '2,all,9,2000,2026-11-01T00:00:00.000000Z,,"ship=x, ""y"""\r\n' in text
    assert list(find_faults(filled)) == []


@pytest.mark.parametrize("rival", RIVALS)
def test_scores_of_another_service_become_ours(settings: Config, run: Run, rival: str) -> None:
    file = save(RIVALS[rival], "theirs")
    columns = ",".join(f"{ours}={theirs}" for ours, theirs in RIVAL_COLUMNS[rival].items())
    command = ("import", file, "--level", "2", "--columns", columns, "--map-users", "users.csv")

    assert run(*command) == (0, "2 imported, 0 unchanged, 0 refused\n", "")
    first = board(settings, 2)
    assert run(*command) == (0, "0 imported, 2 unchanged, 0 refused\n", "")

    assert [(score, name) for _, score, name in first] == [(1500, "ada"), (1220, "grace")]
    assert board(settings, 2) == first
    header, *mapped = csv.reader(Path("users.csv").read_text().splitlines())
    assert header == ["external", "user"]
    assert [int(user) for _, user in mapped] == [user for user, _, _ in first]


def test_the_file_of_users_says_who_is_who(settings: Config, run: Run) -> None:
    save("external,user\r\nada,4711\r\n", "users.csv")

    run("import", save("user,score\nada,5\ngrace,4\n"), "--level", "2", "--map-users", "users.csv")

    (ada, _, _), (grace, _, _) = board(settings, 2)
    assert ada == 4711
    assert Path("users.csv").read_text().splitlines() == ["external,user", "ada,4711", f"grace,{grace}"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("export", "--what", "scores,users"), "CSV has one kind of rows"),
        (("export", "--what", "nonsense"), "--what must be some of levels, users, submissions, actions, scores"),
        (("export", "--period", "yesterday"), "period"),
        (("export", "--level", "x"), "--level must be a whole number"),
        (("import", "nowhere.csv"), "cannot read nowhere.csv: No such file or directory"),
        (("import", "empty", "--columns", "score"), "--columns score must be a column"),
        (("import", "empty", "--columns", "points=score"), "--columns points is no column of scores"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    filled: Config, run: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    save("", "empty")

    status, said, err = run(*arguments)

    assert (status, said, err.count("\n")) == (1, "", 1)
    assert complaint in err


def test_an_export_of_nothing_has_its_columns(settings: Config, run: Run) -> None:
    open_store(settings, None, NAMES).close()

    assert run("export", "--what", "users") == (0, "user,name,external,secret_hash,banned,banned_until,reason\r\n", "")
    assert run("import", save("level,user,score\n")) == (0, "0 imported, 0 unchanged, 0 refused\n", "")


@pytest.mark.sqlite
def test_a_terminal_shows_how_far_they_are(filled: Config, run: Run) -> None:
    _, text, _ = run("export")
    save(text)

    assert "scores: 100%" in run_on_terminal("export")
    assert "import: 100%" in run_on_terminal("import", "scores.csv")


@pytest.mark.sqlite
def test_who_reads_only_the_first_lines_gets_no_traceback(filled: Config, run: Run) -> None:
    command = [sys.executable, "-m", "scoresvc", "export"]
    reader, writer = os.pipe()
    os.close(reader)

    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=20)

    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")
