"""What stays bounded in a running server; `python -m tests.drills.bounds` measures it, with a million sessions."""

from __future__ import annotations

from pathlib import Path

from tests.drills.bounds import WAL_BYTES_MAX, measure_purge, measure_wal


def test_the_write_ahead_log_stays_bounded_under_load(tmp_path: Path) -> None:
    size = measure_wal(tmp_path, seconds=1.5)

    assert 1_000_000 < size.largest <= WAL_BYTES_MAX, size


def test_while_expired_sessions_are_purged_all_requests_are_answered(tmp_path: Path) -> None:
    times = measure_purge(tmp_path, sessions=20_000, interval=0.5, quiet_max=0.1)

    assert len(times.posts) > 20, times
    assert len(times.reads) > 20, times
