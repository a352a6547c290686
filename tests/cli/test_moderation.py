"""Moderation by those who have a shell but no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scoresvc.config import Config
from scoresvc.storage import open_admin
from tests.cli.conftest import Shell
from tests.running import Server

Post = Callable[[int, int, int], None]
Board = Callable[[int], str]


@pytest.fixture(autouse=True)
def _cheat(post: Post) -> None:
    post(2, 131, 1220)
    post(2, 131, 9999)


def test_the_submission_that_stands_is_removed_and_that_is_undone(shell: Shell, board: Board) -> None:
    number = shell("remove", "--level", "2", "--user", "131")
    assert (number, board(2)) == ("1\n", "131=1220")

    assert shell("undo", number.strip()) == "2\n"
    assert board(2) == "131=9999"


def test_one_submission_is_removed_and_restored(shell: Shell, board: Board) -> None:
    assert shell("remove", "2") == "1\n"
    assert board(2) == "131=1220"

    assert shell("reinstate", "2") == "2\n"
    assert board(2) == "131=9999"


def test_a_submission_that_is_held_is_approved(shell: Shell, board: Board, post: Post) -> None:
    shell("level", "2", "hold=10000")
    post(2, 131, 10001)
    assert board(2) == "131=9999"

    shell("approve", "3")

    assert board(2) == "131=10001"


def test_what_is_done_already_prints_nothing(shell: Shell) -> None:
    shell("remove", "2")

    assert (shell("remove", "2"), shell("unban", "131"), shell("reinstate", "1")) == ("", "", "")


def test_a_banned_user_is_on_no_board_until_the_ban_ends(shell: Shell, board: Board) -> None:
    assert shell("ban", "131", "--reason", "aimbot", "--until", "2100-01-01T00:00:00Z", "--hide") == "1\n"
    assert board(2) == ""

    assert shell("unban", "131") == "2\n"
    assert board(2) == "131=9999"


def test_what_a_shell_does_is_in_the_audit_log(shell: Shell, settings: Config) -> None:
    shell("ban", "131", "--reason", "aimbot")

    with open_admin(settings) as access:
        (record,) = access.admin.actions(10, None).actions
    assert (record.actor, record.kind, record.user_id) == ("shell", "ban", 131)
    assert record.after["ban"]["reason"] == "aimbot"


def test_a_user_is_erased(shell: Shell, board: Board) -> None:
    assert shell("erase", "131") == "1\n"

    assert board(2) == ""
    assert "cannot be undone" in shell("undo", "1")


def test_a_level_is_cleared(shell: Shell, board: Board) -> None:
    assert shell("clear", "2") == "1\n"
    assert board(2) == ""

    assert shell("undo", "1") == "2\n"
    assert board(2) == "131=9999"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("remove", "--level with --user"),
        ("remove 1 --level 2", "--level with --user"),
        ("remove 1 --period day", "--level with --user"),
        ("remove --user 2", "--level with --user"),
        ("remove x", "SUBMISSION must be a whole number"),
        ("remove 9223372036854775808", "SUBMISSION must be a whole number"),
        ("remove 99", "no submission"),
        ("remove --level 2 --user 131 --period x", "period must be"),
        ("remove --level 2 --user 131 --period day", "no boards by day"),
        ("remove --level 2 --user 4711", "no score"),
        ("reinstate 99", "no submission"),
        ("approve 99", "no submission"),
        ("ban x", "USER must be a whole number"),
        ("ban 131 --until tomorrow", "--until must be a time"),
        ("unban -- -1", "USER must be a whole number"),
        ("erase 2147483648", "USER must be a whole number"),
        ("clear x", "LEVEL must be a whole number"),
        ("undo 99", "no action"),
        ("undo x", "ACTION must be a whole number"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(shell: Shell, board: Board, command: str, complaint: str) -> None:
    assert complaint in shell(*command.split(" "))
    assert board(2) == "131=9999"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_running_service_does_it_and_says_so_at_once(
    tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    folder = tmp_path / "running"
    folder.mkdir()
    with Server(folder, processes=processes) as server:
        _, key = server.call("GET", "/131/login")
        server.call("POST", f"/2/score?sessionkey={key}", "1500")
        monkeypatch.chdir(folder)
        (folder / "config.ini").write_text(f"[database]\npath = {server.database}\n")

        shell("remove", "--level", "2", "--user", "131")

        assert server.call("GET", "/2/highscorelist") == (200, "")
