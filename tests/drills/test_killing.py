"""What is left of the scores when the server is killed under load; `python -m tests.drills.killing` kills longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.killing import kill_repeatedly


@pytest.mark.parametrize(
    ("http_server", "transports", "kills"),
    [("waitress", ["http", "tcp"], 8), ("waitress", ["tcp"], 4), ("granian", ["http", "tcp"], 8)],
)
def test_no_acknowledged_score_is_lost_to_kill_9(
    tmp_path: Path, http_server: str, transports: list[str], kills: int
) -> None:
    if http_server == "granian":
        pytest.importorskip("granian", reason="granian is not installed")

    outcome = kill_repeatedly(tmp_path, kills, 50 * kills, transports, http_server)

    assert outcome.lost == 0, outcome
    assert sum(outcome.acknowledged.values()) >= 50 * kills, outcome
    assert all(count > 10 for count in outcome.acknowledged.values()), outcome
