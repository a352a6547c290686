"""A flood of logins starves nobody; `python -m tests.drills.flood` measures it for longer."""

from __future__ import annotations

from pathlib import Path

from tests.drills.flood import SESSIONS_MAX, flood


def test_posts_go_on_in_a_flood_of_logins_and_the_sessions_of_a_user_are_bounded(tmp_path: Path) -> None:
    outcome = flood(tmp_path, "one user", seconds=1.0)

    assert outcome.logins > 100, outcome
    assert outcome.sessions <= SESSIONS_MAX, outcome
    assert {answer.status for answer in outcome.posts} == {200}, outcome
