"""Days, weeks and months: no gap, no overlap and the right names, in zones whose clocks do the oddest things."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scoresvc.errors import BadPeriod, NoSuchPeriod
from scoresvc.levels import PERIOD_KINDS, LevelSettings
from scoresvc.periods import (
    ALL_TIME,
    NUMBERS_OF_KIND,
    WISH_ALL,
    Period,
    day_at,
    day_of,
    find_period,
    first_day,
    kind_of,
    make_period,
    name_of,
    number_of,
    period_of_day,
    periods_at,
    read_wish,
    start_of,
)

ZONES = (
    "UTC",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # had no 2011-12-30
    "Antarctica/Troll",  # two hours
    "America/Havana",  # at midnight, as the next five
    "America/St_Johns",  # at 00:01, until 2011
    "America/Sao_Paulo",
    "America/Asuncion",
    "Asia/Beirut",
    "Africa/Cairo",
    "Atlantic/Azores",
    "Africa/Casablanca",  # pauses for Ramadan
    "Europe/Dublin",  # a summer time that is the standard
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Kiritimati",  # 14 hours before UTC
    "Pacific/Pago_Pago",  # 11 hours behind it
)
FIRST = date(2008, 1, 1)
LAST = date(2035, 12, 31)
SECOND = 1_000_000  # microseconds
HOUR = 3600 * SECOND
DAY = timedelta(days=1)
WEDNESDAY = int(datetime(2026, 11, 25, 12, tzinfo=timezone.utc).timestamp()) * SECOND

zones = st.sampled_from(ZONES)
days = st.dates(FIRST, LAST)
instants = st.builds(lambda day, second: start_of(day, "UTC") + second * SECOND, days, st.integers(0, 86399))


def local_date(instant: int, zone: str) -> date:
    return datetime.fromtimestamp(instant // SECOND, ZoneInfo(zone)).date()


def level(zone: str = "UTC", *kinds: str) -> LevelSettings:
    return LevelSettings(zone=zone, periods=kinds or PERIOD_KINDS)


def found(text: str, now: int = WEDNESDAY, settings: LevelSettings | None = None) -> Period:
    return find_period(read_wish(text), settings or level(), now)


# Days


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_from_2008_to_2035_starts_where_the_one_before_ends(zone: str) -> None:
    day = FIRST
    while day <= LAST:
        start, end = start_of(day, zone), start_of(day + DAY, zone)

        if (zone, day) == ("Pacific/Apia", date(2011, 12, 30)):
            assert start == end
        else:
            assert 22 * HOUR <= end - start <= 26 * HOUR
            assert day_of(start, zone) == day_of(end - 1, zone) == day
        day += DAY


@hypothesis_settings(max_examples=60, deadline=None)
@given(zones, days)
def test_a_day_starts_at_the_first_instant_with_its_date_or_a_later_one(zone: str, day: date) -> None:
    start = start_of(day, zone)

    assert local_date(start, zone) >= day
    assert all(local_date(start - minutes * 60 * SECOND, zone) < day for minutes in range(1, 36 * 60))
    assert local_date(start - 1, zone) < day


@hypothesis_settings(deadline=None)
@given(zones, instants)
def test_a_moment_is_in_the_day_with_the_latest_date_so_far(zone: str, instant: int) -> None:
    dates = [local_date(instant - quarter * 15 * 60 * SECOND, zone) for quarter in range(100)]

    day = day_of(instant, zone)

    assert day in (max(dates), max(dates) + DAY)
    assert start_of(day, zone) <= instant < start_of(day + DAY, zone)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07T02:30"),  # the first 00:00, one minute before 23:01 again
        ("America/Havana", date(2025, 3, 9), "2025-03-09T05:00"),  # at 01:00, for there is no midnight
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00"),  # the first of two midnights
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00"),
        ("Africa/Cairo", date(2024, 4, 26), "2024-04-25T22:00"),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
        ("Asia/Kathmandu", date(2026, 1, 1), "2025-12-31T18:15"),
    ],
)
def test_a_day_starts_at_midnight_or_where_the_clocks_skip_it(zone: str, day: date, start: str) -> None:
    assert start_of(day, zone) == datetime.fromisoformat(f"{start}+00:00").timestamp() * SECOND


def test_the_hour_that_is_repeated_before_midnight_belongs_to_the_day_that_has_started() -> None:
    repeated = int(datetime(2010, 11, 7, 3, tzinfo=timezone.utc).timestamp()) * SECOND

    assert local_date(repeated, "America/St_Johns") == date(2010, 11, 6)
    assert day_of(repeated, "America/St_Johns") == date(2010, 11, 7)


# Periods


@hypothesis_settings(deadline=None)
@given(zones, instants, st.sampled_from(PERIOD_KINDS))
def test_a_moment_is_in_the_one_period_of_a_kind_that_has_the_name_of_its_day(
    zone: str, instant: int, kind: str
) -> None:
    (period,) = periods_at(level(zone, kind), instant)
    before, after = make_period(period.number, zone, period.starts_at - 1), make_period(period.number, zone, 2**62)

    assert period.starts_at <= instant < period.ends_at
    assert period == before
    assert (period.closed, after.closed) == (False, True)
    pattern = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[kind]
    assert period.name == f"{day_of(instant, zone):{pattern}}"
    (following,) = periods_at(level(zone, kind), period.ends_at)
    assert following.starts_at == period.ends_at
    assert following.number > period.number


@given(days, st.sampled_from(PERIOD_KINDS))
def test_a_period_is_known_by_its_number_and_by_its_name(day: date, kind: str) -> None:
    number = number_of(kind, day)

    assert kind_of(number) == kind
    assert [each for each, (lowest, highest) in NUMBERS_OF_KIND.items() if lowest <= number <= highest] == [kind]
    assert read_wish(name_of(number)).number == number
    assert number_of(kind, first_day(number)) == number
    assert period_of_day(kind, number_of("day", day)) == number


def test_the_first_days_of_a_year_are_in_the_week_of_the_year_before() -> None:
    assert name_of(number_of("week", date(2027, 1, 3))) == "2026-W53"
    assert name_of(number_of("week", date(2027, 1, 4))) == "2027-W01"


def test_the_periods_of_now_are_cached_until_the_day_ends_and_follow_a_clock_that_is_set_back() -> None:
    settings = level("Asia/Kathmandu")
    first = periods_at(settings, WEDNESDAY)

    assert periods_at(settings, WEDNESDAY + HOUR) is first
    assert [each.name for each in periods_at(settings, WEDNESDAY + 24 * HOUR)] == ["2026-11-26", "2026-W48", "2026-11"]
    assert periods_at(settings, WEDNESDAY) == first
    assert day_at(settings, first[0].ends_at - 1) == 20261125
    assert day_at(settings, first[0].ends_at) == 20261126


# Wishes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("all", "all"),
        ("day", "2026-11-25"),
        ("day-0", "2026-11-25"),
        ("day-1", "2026-11-24"),
        ("day-365", "2025-11-25"),
        ("week", "2026-W48"),
        ("week-48", "2025-W52"),
        ("month", "2026-11"),
        ("month-11", "2025-12"),
        ("2026-11-25", "2026-11-25"),
        ("2024-02-29", "2024-02-29"),
        ("2020-W53", "2020-W53"),
        ("1970-01", "1970-01"),
    ],
)
def test_a_period_is_found_by_name_or_counted_back_from_now(text: str, name: str) -> None:
    assert found(text).name == name


def test_all_time_has_no_bounds() -> None:
    assert found("all") == find_period(WISH_ALL, level(), 0) == ALL_TIME == Period(0, "all", None, None, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ALL",
        "Day",
        "day ",
        "day-",
        "day--1",
        "day-+1",
        "day-1.0",
        "day-٣",
        "day-9999999999",
        "all-1",
        "2026",
        "2026-",
        "2026-00",
        "2026-13",
        "2026-1",
        "2026-011",
        "2026-02-30",
        "2025-02-29",
        "2026-11-00",
        "2026-11-5",
        "20261125",
        "2026-W00",
        "2026-W54",
        "2025-W53",
        "2026-w48",
        "2026-W4",
        "2026W48",
        "0000-01",
        "1969-12-31",
        "١٩٩٠-01",
        "2026-11-25T00:00",
        "2026-11\n",
    ],
)
def test_what_is_no_period_or_no_date_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        read_wish(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26",
        "2026-W49",
        "2026-12",
        "9999-12-31",
        "9999-W52",
        "9999-12",
        "day-999999999",
        "week-99999",
        "month-99999",
    ],
)
def test_the_future_and_what_was_before_1970_are_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        found(text)


def test_today_is_today_in_the_zone_of_the_level() -> None:
    assert found("2026-11-26", settings=level("Pacific/Kiritimati")).name == "2026-11-26"
    assert found("day", WEDNESDAY - 2 * HOUR, level("Pacific/Pago_Pago")).name == "2026-11-24"


@pytest.mark.parametrize("text", ["week", "week-1", "2026-W40"])
def test_a_kind_that_the_level_does_not_keep_is_refused(text: str) -> None:
    with pytest.raises(NoSuchPeriod, match="week"):
        found(text, settings=level("UTC", "day", "month"))
