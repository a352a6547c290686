"""Viewers of a board get every change; `python -m tests.drills.viewers` has thousands of them."""

from __future__ import annotations

from pathlib import Path

from tests.drills.viewers import drill
from tests.running import Server


def test_posts_go_on_while_viewers_get_the_changes(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        ((quiet,), (watched,)) = drill(server, viewers=50, seconds=2.5, rounds=1)

    assert quiet.asked == 0
    assert watched.events >= 2 * 50  # the board at first, and a change
    assert watched.asked >= watched.events
