"""Several processes under load; `python -m tests.drills.soak` loads them for half an hour."""

from __future__ import annotations

from pathlib import Path

from tests.drills.soak import soak


def test_after_load_on_several_processes_every_best_is_there_and_the_database_whole(tmp_path: Path) -> None:
    outcome = soak(tmp_path, processes=3, seconds=1.5, pause=0.0)

    assert outcome.acknowledged > 20, outcome
    assert outcome.is_sound, outcome
