"""Posts go on while a backup is made; `python -m tests.drills.backing_up` measures it with a million scores."""

from __future__ import annotations

from pathlib import Path

from tests.drills.backing_up import drill


def test_posts_go_on_while_a_backup_is_made(tmp_path: Path) -> None:
    quiet, busy, took = drill(tmp_path, scores=20_000, seconds=1.0, rounds=1)

    assert len(quiet) == len(busy) == 1
    assert took
