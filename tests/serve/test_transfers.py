"""Exports and imports while a service runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scoresvc.storage.sqlite.check import find_faults
from tests.running import Posts, Server, assert_nothing_lost

Start = Callable[..., Server]

LEVEL = 1_000_000
USERS = 5000


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scoresvc", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


def save(folder: Path, users: int, level: int = LEVEL) -> None:
    rows = [f"{level},{user},{user},Player {user:b}x\n" for user in range(users)]
    (folder / "rows.csv").write_text("level,user,score,name\n" + "".join(rows))


def test_what_is_imported_is_on_the_board_at_once_and_posts_go_on(start: Start, tmp_path: Path) -> None:
    save(tmp_path, USERS)
    with start(tmp_path) as server:
        assert server.call("GET", f"/{LEVEL}/highscorelist?limit=1") == (200, "")
        posts = Posts(server)
        posts.wait_for(50)

        imported = run(tmp_path, "import", "rows.csv")
        best = server.call("GET", f"/{LEVEL}/highscorelist?limit=1")
        lines = server.call("GET", f"/{LEVEL}/highscorelist?limit=1&format=lines")
        posts.stop()

        assert (imported.returncode, imported.stderr) == (0, "")
        assert imported.stdout == f"{USERS} imported, 0 unchanged, 0 refused\n"
        assert best == (200, f"{USERS - 1}={USERS - 1}")
        assert lines == (200, f"1\t{USERS - 1}\t{USERS - 1}\tPlayer {USERS - 1:b}x\n")
        assert server.call("GET", f"/{LEVEL}/rank/0") == (200, f"{USERS}")
        assert (posts.refused, posts.cut_off) == ([], [])
        assert server.terminate() == 0
    assert_nothing_lost(server.database, posts)


def test_an_export_is_of_one_moment(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(200)
        before = len(posts.acknowledged)

        exported = run(tmp_path, "export")

        posts.stop()
        rows = exported.stdout.splitlines()[1:]
        assert exported.returncode == 0
        assert before <= len(rows) <= len(posts.acknowledged) + len(posts.cut_off)
        assert {(int(row.split(",")[0]), int(row.split(",")[3])) for row in rows} >= set(posts.acknowledged[:before])


def test_a_service_that_ends_meanwhile_leaves_a_part_that_the_next_import_completes(
    start: Start, tmp_path: Path
) -> None:
    save(tmp_path, 20 * USERS)
    with start(tmp_path) as server:
        importing = subprocess.Popen(
            [sys.executable, "-m", "scoresvc", "import", "rows.csv"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        while server.call("GET", f"/{LEVEL}/highscorelist?limit=1") == (200, ""):
            pass
        server.kill()
        _, complaint = importing.communicate(timeout=60)

    assert importing.returncode == 1
    assert complaint.startswith("scoresvc: the database takes no writes now: ")
    assert complaint.count("\n") == 1
    assert list(find_faults(server.database)) == []
    save(tmp_path, USERS)
    assert run(tmp_path, "import", "rows.csv").returncode == 0
    with start(tmp_path) as server:
        assert server.call("GET", f"/{LEVEL}/rank/{USERS - 1}")[0] == 200
