"""What a kill leaves of a migration; `python -m tests.drills.migrating` kills those of a million scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.migrating import VERSIONS, kill_migrations


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migration_that_is_killed_leaves_the_old_database_or_the_new_one(tmp_path: Path, version: int) -> None:
    outcome = kill_migrations(tmp_path, version, scores=50_000, kills=3)

    assert (outcome.killed, outcome.damaged, outcome.faults) == (3, 0, []), outcome
