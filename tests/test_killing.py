"""What is left of the scores when the server is killed under load; the long form is `python -m tests.killing`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.killing import kill_again_and_again


@pytest.mark.parametrize("transports", [["tcp"], ["http", "tcp"]])
def test_nothing_acknowledged_over_any_transport_is_lost_to_kill_9(tmp_path: Path, transports: list[str]) -> None:
    outcome = kill_again_and_again(tmp_path, cycles=3, acknowledged_min=200, transports=transports)

    assert outcome.lost == 0, outcome
    assert all(count > 10 for count in outcome.acknowledged.values()), outcome
