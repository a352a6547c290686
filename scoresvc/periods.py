"""Periods of a board: all time, days, weeks and months, in a time zone.

A period is a number that people can read: 0 all time, 20261125 a day, 2026048 a week (ISO 8601: year and week),
202611 a month. A day begins at the first instant whose local date is that day or a later one, and lasts until the next
begins: so days leave no gap and do not overlap, whatever the clocks of a zone do at midnight.
"""

from __future__ import annotations

from typing import NamedTuple

from scoresvc.scores import Timestamp

ALL = 0  # the number of all time


class Period(NamedTuple):
    """One board's period."""

    number: int
    name: str  # "all", "2026-11-25", "2026-W48", "2026-11"
    starts_at: Timestamp | None = None  # None for all time, as `ends_at`
    ends_at: Timestamp | None = None  # the first instant after it
    closed: bool = False  # whether it is over


class PeriodWish(NamedTuple):
    """What a client asked for, before its level and the time are known.

    One of `back` and `number` is set, for all time neither: "week-2" is ("week", 2, None), "2026-W48" is ("week",
    None, 2026048), "all" is ("all", None, None).
    """

    kind: str
    back: int | None = None
    number: int | None = None


ALL_TIME = Period(ALL, "all")
WISH_ALL = PeriodWish("all")
