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
FIRST_ZONE = "Pacific/Kiritimati"  # where a day begins before it does anywhere else

STARTS_CACHED = 4096
WISHES_CACHED = 4096

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

_WISH = re.compile(
    r"(?P<kind>day|week|month)(?:-(?P<back>[0-9]{1,9}))?"
    r"|(?P<year>[0-9]{4})-(?:W[0-9]{2}|[0-9]{2}(?:-[0-9]{2})?)"
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

    def __str__(self) -> str:
        """Returns what a client would ask for again."""
        if self.number is not None:
            return name_of(self.number)
        return f"{self.kind}-{self.back}" if self.back else self.kind


NUMBERS_OF_KIND = {  # the lowest and the highest; those of two kinds do not overlap
    "all": (ALL, ALL),
    "day": (1970_01_01, 9999_12_31),
    "week": (1970_0_01, 9999_0_53),
    "month": (1970_01, 9999_12),
}
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
    if number == ALL:
        return "all"
    digits = str(number)
    if len(digits) == 7:
        return f"{digits[:4]}-W{digits[5:]}"
    return "-".join(filter(None, (digits[:4], digits[4:6], digits[6:])))


def name_of_board(level_id: int, number: int) -> str:
    """Returns how operators are told which board something is about."""
    return f"level {level_id}" if number == ALL else f"level {level_id}, {name_of(number)}"


def first_day(number: int) -> date:
    """Returns the day with which a period starts. Raises ValueError where there is no such date."""
    digits = str(number)
    year, rest = int(digits[:4]), int(digits[4:])
    if len(digits) == 7:
        return date.fromisocalendar(year, rest, 1)
    return date(year, rest, 1) if len(digits) == 6 else date(year, rest // 100, rest % 100)


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
    # The clocks skipped midnight, between where it would be by the offset after the change and by the one before.
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


def current_periods(zone: str, kinds: tuple[str, ...], now: int) -> tuple[Period, ...]:
    """Returns the periods of `kinds` that run now, in that order; cached for as long as the day lasts."""
    cached = _current_periods.get((zone, kinds))
    if cached is not None and cached.starts_at <= now < cached.ends_at:
        return cached.periods
    today = day_of(now, zone)
    periods = tuple([make_period(number_of(kind, today), zone, now) for kind in kinds])
    cached = _CurrentPeriods(int(start_of(today, zone)), int(start_of(today + _DAY, zone)), periods)
    _current_periods[zone, kinds] = cached
    return periods


class _CurrentPeriods(NamedTuple):
    starts_at: int  # of the day, as `ends_at`
    ends_at: int
    periods: tuple[Period, ...]


_current_periods: dict[tuple[str, tuple[str, ...]], _CurrentPeriods] = {}  # of some hundred zones at most


def periods_at(settings: LevelSettings, now: int) -> tuple[Period, ...]:
    """Returns those of the periods that run now which a level keeps, in the order of PERIOD_KINDS."""
    return current_periods(settings.zone, settings.periods, now)


def day_at(settings: LevelSettings, now: int) -> int:
    """Returns the number of the day that runs now in the zone of a level, such as 20261125."""
    return current_periods(settings.zone, ("day",), now)[0].number


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
    number = int(text.replace("-W", "0").replace("-", ""))
    if int(match["year"]) < YEAR_MIN or not _is_date(number):
        raise BadPeriod
    return PeriodWish(kind_of(number), number=number)


def _is_date(number: int) -> bool:
    try:
        first_day(number)
    except ValueError:
        return False
    return True


def find_period(wish: PeriodWish, settings: LevelSettings, now: int) -> Period:
    """Returns the period of a level that a client asked for.

    Raises BadPeriod for one in the future or before 1970, NoSuchPeriod for a kind that the level does not keep.
    """
    if wish.kind == "all":
        return ALL_TIME
    if wish.kind not in settings.periods:
        raise NoSuchPeriod(wish.kind)
    (current,) = current_periods(settings.zone, (wish.kind,), now)
    number = _number_back(current.number, wish.back) if wish.number is None else wish.number
    if number == current.number:
        return current
    if number > current.number:
        raise BadPeriod
    return make_period(number, settings.zone, now)


def find_period_of_user(wish: PeriodWish, zone: str, now: int, has_begun: bool) -> Period:
    """Returns the period that a client asked for over all levels of a user, by `zone`: the levels may have others.

    Where it `has_begun` on one of them, but not there, it is told by the zone where a day begins first. Raises
    BadPeriod for one that has not begun.
    """
    try:
        return find_period(wish, LevelSettings(periods=PERIOD_KINDS, zone=zone), now)
    except BadPeriod:
        if not has_begun:
            raise
        return find_period(wish, LevelSettings(periods=PERIOD_KINDS, zone=FIRST_ZONE), now)


def _number_back(number: int, back: int | None) -> int:
    """Returns the number of the period that comes `back` earlier. Raises BadPeriod."""
    kind = kind_of(number)
    try:
        first = _step(kind, first_day(number), -(back or 0))
    except (ValueError, OverflowError):
        raise BadPeriod from None
    if first.year < YEAR_MIN:
        raise BadPeriod
    return number_of(kind, first)
