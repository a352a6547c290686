"""Backups of a service that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.backups import find_backups
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Posts, Server

Start = Callable[..., Server]

FIRST_WITHIN = 15.0  # seconds


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "scoresvc", *arguments], cwd=folder, capture_output=True, text=True)


def levels_of(path: Path) -> set[int]:
    with closing(sqlite3.connect(path)) as connection:
        return {level for (level,) in connection.execute("SELECT DISTINCT level_id FROM scores").fetchall()}


def test_a_backup_of_a_service_has_all_that_was_acknowledged_before(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(200)
        before = {level for level, _ in posts.acknowledged}
        made = run(tmp_path, "backup", "copy.sqlite3")
        count = len(posts.acknowledged)
        posts.wait_for(count + 50)
        posts.stop()

        assert (made.returncode, made.stderr) == (0, "")
        assert before <= levels_of(tmp_path / "copy.sqlite3")
        assert (posts.refused, posts.cut_off) == ([], [])


def test_a_service_backs_up_by_itself_and_says_when(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[backup]\nfolder = nights\nevery = 1\nkeep = 2\n[metrics]\npublic = yes\n")
    folder = tmp_path / "nights"

    with start(tmp_path) as server:
        seen: set[str] = set()
        until = time.monotonic() + FIRST_WITHIN
        while len(seen) < 3:
            assert time.monotonic() < until, server.log
            seen |= {path.name for path in find_backups(folder)}
            time.sleep(0.05)
        with closing(server.connect()) as connection:
            connection.request("GET", "/ready", headers={"Accept": "application/json"})
            status = json.loads(connection.getresponse().read())
        _, metrics = server.call("GET", "/metrics")
        assert server.terminate() == 0

    assert status["last_backup_at"] is not None
    assert "scoresvc_last_backup_timestamp_seconds 1" in metrics
    assert len(find_backups(folder)) <= 3
    assert "Traceback" not in server.log


def test_a_backup_that_cannot_be_made_is_told_in_the_log_and_costs_nothing_else(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[backup]\nfolder = nowhere/nights\n")

    with start(tmp_path) as server:
        until = time.monotonic() + FIRST_WITHIN
        while "no backup was made" not in server.log:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert server.call("GET", "/ready") == (200, "ready")


def test_what_was_restored_is_served_as_it_was(start: Start, tmp_path: Path) -> None:
    paths = ["/2/highscorelist", "/2/rank/4711", "/4711/scores", "/levels"]
    with start(tmp_path) as server:
        _, key = server.call("GET", "/4711/login")
        server.call("POST", f"/2/score?sessionkey={key}", "1500")
        before = [server.call("GET", path) for path in paths]
        made = run(tmp_path, "backup", "copy.sqlite3")
        assert (made.returncode, made.stderr) == (0, "")
        server.call("POST", f"/2/score?sessionkey={key}", "9999")
        server.call("POST", f"/3/score?sessionkey={key}", "1")

        refused = run(tmp_path, "restore", "copy.sqlite3")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert server.call("GET", "/2/highscorelist") == (200, "4711=9999")
        server.kill()

    assert run(tmp_path, "restore", "copy.sqlite3").returncode == 0

    with start(tmp_path) as server:
        assert [server.call("GET", path) for path in paths] == before
        assert server.call("POST", f"/2/score?sessionkey={key}", "1600") == (200, "")


@pytest.mark.parametrize("signal_number", [9])
def test_a_service_that_is_killed_in_a_backup_starts_again(start: Start, tmp_path: Path, signal_number: int) -> None:
    (tmp_path / "config.ini").write_text("[backup]\nfolder = nights\nevery = 1\n")
    for _ in range(3):
        with start(tmp_path) as server:
            posts = Posts(server, first_level=0)
            posts.wait_for(100)
            server.process.send_signal(signal_number)
            posts.join()
            server.process.wait(15)

    with start(tmp_path) as server:
        assert server.call("GET", "/ready") == (200, "ready")
    for backup in find_backups(tmp_path / "nights"):
        assert run(tmp_path, "check", "--database", str(backup)).returncode == 0
