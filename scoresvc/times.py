"""Times as text."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from functools import lru_cache

SECONDS_CACHED = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME = re.compile(
    r"(?P<local>[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?"
    r" ?(?P<zone>[Zz]|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_UNIX_DIGITS = ((11, 1_000_000), (14, 1000), (17, 1))  # at most, of seconds, milliseconds and microseconds

LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that ISO 8601 has digits for


def format_time(microseconds: int) -> str:
    """Writes Unix microseconds in ISO 8601: UTC, cut to milliseconds, with `Z`, such as `2026-11-21T03:04:05.678Z`."""
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_format_second(min(second, LAST_SECOND))}.{rest // 1000:03d}Z"


@lru_cache(SECONDS_CACHED)
def _format_second(second: int) -> str:
    year, month, day, hour, minute, second, *_ = time.gmtime(second)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


def format_exact_time(microseconds: int) -> str:
    """As `format_time`, with microseconds: `read_time` gives the same number back."""
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_format_second(second)}.{rest:06d}Z"


def read_time(text: str) -> int:
    """Returns Unix microseconds of a time in ISO 8601, UTC where it says no zone, or in Unix time.

    That is in seconds, milliseconds or microseconds, as its digits say. Raises ValueError.
    """
    if text.isascii() and text.isdigit() and len(text) <= 17:
        return int(text) * next(unit for digits, unit in _UNIX_DIGITS if len(text) <= digits)
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    zone = (match["zone"] or "Z").upper().replace(":", "")
    sign = -1 if zone.startswith("-") else 1
    offset = timedelta() if zone in ("Z", "UTC") else sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:] or 0))
    local = datetime.fromisoformat(match["local"].upper()).replace(tzinfo=timezone.utc)
    fraction = int((match["fraction"] or "")[:6].ljust(6, "0"))
    moment = (local - offset - _EPOCH) // timedelta(microseconds=1) + fraction
    if moment < 0:
        raise ValueError(text)
    return moment
