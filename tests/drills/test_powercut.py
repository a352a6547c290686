"""What is left of the scores after a power cut; `python -m tests.drills.powercut` cuts more often."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.drills.powercut import cut_power, record

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def test_no_acknowledged_score_is_lost_to_a_power_cut(tmp_path: Path, work: Path) -> None:
    recording = record(tmp_path, 600, "full")

    outcome = cut_power(recording, 200, seed=1, work=work)

    assert (outcome.losing, outcome.corrupt) == (0, 0), outcome
    assert outcome.acknowledged == 600
    assert outcome.unsynced > 100  # otherwise nothing was tested
    assert outcome.checkpoints > 1


def test_durability_process_loses_scores_to_a_power_cut_but_keeps_the_database_whole(
    tmp_path: Path, work: Path
) -> None:
    recording = record(tmp_path, 300, "process")

    outcome = cut_power(recording, 60, seed=1, work=work)

    assert outcome.losing > 20, outcome
    assert outcome.corrupt == 0, outcome
