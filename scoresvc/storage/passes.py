"""Where a look through a table is that goes on slice by slice."""

from __future__ import annotations

from typing import Any

PASS_INTERVAL = 3600.0  # seconds


class Pass:
    """Where a look through a table is; `start` is before its first key. Times are Unix seconds."""

    def __init__(self, start: Any) -> None:
        self._start = start
        self.after = start
        self._ended_at: float | None = None

    def is_due(self, now: float) -> bool:
        return self._ended_at is None or not self._ended_at <= now < self._ended_at + PASS_INTERVAL

    def end(self, now: float) -> None:
        self.after = self._start
        self._ended_at = now
