"""What three nodes do when the primary dies; `python -m tests.drills.failover` kills it more often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.failover import NODES, OUT_MAX, fail_over_repeatedly

pytestmark = pytest.mark.postgres


def test_no_acknowledged_score_is_lost_when_the_primary_dies_and_its_standby_is_promoted(tmp_path: Path) -> None:
    outcome = fail_over_repeatedly(tmp_path, count=2, posts=300)

    assert outcome.lost == 0, outcome
    assert outcome.faults == [], outcome
    assert outcome.acknowledged >= 900, outcome
    assert outcome.statuses == {200, 503}, outcome
    assert outcome.read_statuses <= {200, 503}, outcome
    assert outcome.cut_off == 0, outcome
    assert max(failover.out for failover in outcome.failovers) < OUT_MAX, outcome
    assert max(failover.reads_out for failover in outcome.failovers) < OUT_MAX, outcome
    assert outcome.warnings == 2 * NODES, outcome
