"""What is left of the scores when the server is killed under load; `python -m tests.drills.killing` kills longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.killing import kill_repeatedly


@pytest.mark.parametrize(
    ("processes", "transports", "kills"),
    [(1, ["http", "tcp"], 8), (1, ["tcp"], 4), (2, ["http", "tcp"], 8)],
)
def test_no_acknowledged_score_is_lost_to_kill_9(
    tmp_path: Path, processes: int, transports: list[str], kills: int
) -> None:
    outcome = kill_repeatedly(tmp_path, kills, 50 * kills, transports, processes)

    assert outcome.lost == 0, outcome
    assert sum(outcome.acknowledged.values()) >= 50 * kills, outcome
    assert all(count > 10 for count in outcome.acknowledged.values()), outcome
