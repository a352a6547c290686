"""Periods of a board: all time, days, weeks and months, in a time zone.

A period is a number that people can read: 0 all time, 20261125 a day, 2026048 a week (ISO 8601: year and week),
202611 a month. A day starts at the first instant whose local date is that day or a later one, and lasts until the next
starts: so days leave no gap and do not overlap, whatever the clocks of a zone do at midnight. Where they go back from
00:01 to 23:01, the hour that is repeated belongs to the day that has started already; a day that a zone skipped, as
Samoa did 2011-12-30, is empty.

Instants are Unix microseconds. Zones are names of the IANA database, which LevelSettings has checked.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scoresvc.errors import BadPeriod, NoSuchPeriod
from scoresvc.levels import PERIOD_KINDS, LevelSettings
from scoresvc.scores import Timestamp

ALL = 0  # the number of all time
YEAR_MIN = 1970

STARTS_CACHED = 4096
WISHES_CACHED = 4096

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

_WISH = re.compile(
    r"(?P<kind>day|week|month)(?:-(?P<back>[0-9]{1,9}))?"
    r"|(?P<year>[0-9]{4})-(?:W(?P<week>[0-9]{2})|(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)"
)


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


class CurrentPeriods(NamedTuple):
    """The periods that run at a moment in a zone."""

    day: Period
    week: Period
    month: Period


ALL_TIME = Period(ALL, "all")
WISH_ALL = PeriodWish("all")


# Numbers and names


def number_of(kind: str, day: date) -> int:
    """Returns the number of the period of a kind that a day is in."""
    if kind == "day":
        return day.year * 10000 + day.month * 100 + day.day
    if kind == "week":
        year, week, _ = day.isocalendar()
        return year * 1000 + week
    return day.year * 100 + day.month


def kind_of(number: int) -> str:
    """Returns "all", "day", "week" or "month"."""
    if number == ALL:
        return "all"
    return {6: "month", 7: "week", 8: "day"}[len(str(number))]


def name_of(number: int) -> str:
    """Returns the name by which clients know a period."""
    digits = str(number)
    year, rest = digits[:4], digits[4:]
    if number == ALL:
        return "all"
    if len(rest) == 2:
        return f"{year}-{rest}"
    return f"{year}-W{rest[1:]}" if len(rest) == 3 else f"{year}-{rest[:2]}-{rest[2:]}"


def first_day(number: int) -> date:
    """Returns the day with which a period starts. Raises ValueError where there is no such date."""
    year, rest = int(str(number)[:4]), int(str(number)[4:])
    kind = kind_of(number)
    if kind == "week":
        return date.fromisocalendar(year, rest, 1)
    return date(year, rest, 1) if kind == "month" else date(year, rest // 100, rest % 100)


def period_of_day(kind: str, day: int) -> int:
    """As `number_of`, of a day by its number, such as 20261125."""
    return number_of(kind, first_day(day))


# Days in a time zone


@lru_cache(STARTS_CACHED)
def start_of(day: date, zone: str) -> Timestamp:
    """Returns the first instant whose local date is `day` or a later one."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    start = _instant(midnight)  # of an hour that is repeated, the first
    if _local_date(start, zone) == day:
        return Timestamp(start)
    # The clocks skipped midnight: when, lies between that midnight by the offset after the change and by the one before.
    seconds = range(_instant(midnight.replace(fold=1)) // 1_000_000, start // 1_000_000)
    skipped = bisect_left(seconds, day, key=lambda second: _local_date(second * 1_000_000, zone))
    return Timestamp((seconds.start + skipped) * 1_000_000)


def day_of(instant: int, zone: str) -> date:
    """Returns the day that has started last."""
    day = _local_date(instant, zone)
    return day + _DAY if start_of(day + _DAY, zone) <= instant else day


def _instant(local: datetime) -> int:
    return (local - _EPOCH) // _MICROSECOND


def _local_date(instant: int, zone: str) -> date:
    return (_EPOCH + instant * _MICROSECOND).astimezone(ZoneInfo(zone)).date()


# Periods in a time zone


def make_period(number: int, zone: str, now: int) -> Period:
    """Returns a period with its bounds in a zone."""
    if number == ALL:
        return ALL_TIME
    first = first_day(number)
    ends_at = start_of(_step(kind_of(number), first, 1), zone)
    return Period(number, name_of(number), start_of(first, zone), ends_at, ends_at <= now)


def _step(kind: str, first: date, count: int) -> date:
    """Returns the first day of the period that comes `count` later. Raises ValueError, OverflowError out of years."""
    if kind == "month":
        months = first.year * 12 + first.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)
    return first + timedelta(weeks=count) if kind == "week" else first + timedelta(days=count)


def current_periods(zone: str, now: int) -> CurrentPeriods:
    """Returns the periods that run now; cached until the day ends."""
    current = _current.get(zone)
    if current is None or not current.day.starts_at <= now < current.day.ends_at:  # type: ignore[operator]
        today = day_of(now, zone)
        current = CurrentPeriods(*[make_period(number_of(kind, today), zone, now) for kind in PERIOD_KINDS])
        _current[zone] = current
    return current


_current: dict[str, CurrentPeriods] = {}  # by zone, of which there are some hundred


def periods_at(settings: LevelSettings, now: int) -> tuple[Period, ...]:
    """Returns those of the periods that run now which a level keeps, in the order of PERIOD_KINDS."""
    if not settings.periods:
        return ()
    current = current_periods(settings.zone, now)
    return tuple([getattr(current, kind) for kind in settings.periods])


# What clients ask for


@lru_cache(WISHES_CACHED)
def read_wish(text: str) -> PeriodWish:
    """Reads `all`, `day`, `week-2`, `2026-11-25`, `2026-W48` or `2026-11`. Raises BadPeriod."""
    if text == "all":
        return WISH_ALL
    match = _WISH.fullmatch(text)
    if match is None:
        raise BadPeriod
    if match["kind"]:
        return PeriodWish(match["kind"], back=int(match["back"] or 0))
    number = int("".join(digit for digit in text if digit.isdigit())) if not match["week"] else _week_number(match)
    kind = kind_of(number) if int(match["year"]) >= YEAR_MIN else ""
    try:
        first_day(number)
    except ValueError:
        raise BadPeriod from None
    return PeriodWish(kind, number=number)


def find_period(wish: PeriodWish, settings: LevelSettings, now: int) -> Period:
    """Returns the period of a level that is wished for.

    Raises BadPeriod for one in the future or before 1970, NoSuchPeriod for a kind that the level does not keep.
    """
    if wish.kind == "all":
        return ALL_TIME
    if wish.kind not in settings.periods:
        raise NoSuchPeriod(wish.kind)
    current: Period = getattr(current_periods(settings.zone, now), wish.kind)
    number = current.number - 0 if wish.number is None else wish.number
    return make_period(number, settings.zone, now)
