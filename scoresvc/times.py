"""Times as text."""

from __future__ import annotations

import time
from functools import lru_cache

SECONDS_CACHED = 4096
LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that ISO 8601 has digits for


def format_time(microseconds: int) -> str:
    """Writes Unix microseconds in ISO 8601: UTC, cut to milliseconds, with `Z`, such as `2026-11-21T03:04:05.678Z`."""
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_format_second(min(second, LAST_SECOND))}.{rest // 1000:03d}Z"


@lru_cache(SECONDS_CACHED)
def _format_second(second: int) -> str:
    year, month, day, hour, minute, second, *_ = time.gmtime(second)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
