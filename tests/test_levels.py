"""How settings are read, and how scores are written by them."""

from __future__ import annotations

from typing import Any

import pytest

from scoresvc.config import LevelOptions
from scoresvc.errors import BadSetting
from scoresvc.levels import KINDS, LevelSettings, check_settings, format_score, read_settings, write_settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("order", "asc", "asc"),
        ("keep", "sum", "sum"),
        ("min", "0", 0),
        ("max", "2147483647", 2147483647),
        ("title", "  Hill  climb ", "Hill climb"),
        ("format", "decimal:3", "decimal:3"),
        ("unit", " m", " m"),
        ("unit", '" m"', " m"),
        ("unit", '"', '"'),
        ("periods", "month,day", ("day", "month")),
        ("periods", "week day", ("day", "week")),
        ("periods", "none", ()),
        ("zone", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("posts", "server", "server"),
        ("pace", "10", 10),
        ("hold", "9000", 9000),
        ("listed", "no", False),
    ],
)
def test_a_setting_is_read_by_its_kind(name: str, text: str, value: Any) -> None:
    assert read_settings([(name, text)]) == {name: value}
    assert getattr(LevelSettings(**{name: value}), name) == value


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("text", ["", "default"])
def test_nothing_takes_a_setting_back_to_its_default(name: str, text: str) -> None:
    assert read_settings([(name, text)]) == {name: None}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("colour", "red", "colour is not a setting; there are: order, keep, min, max, title, format, unit, periods"),
        ("order", "up", "order must be one of: desc, asc"),
        ("keep", "worst", "keep must be one of: best, latest, sum"),
        ("min", "-1", "min must be a whole number from 0 to 2147483647"),
        ("max", "2147483648", "max must be a whole number from 0 to 2147483647"),
        ("pace", "1.5", "pace must be a whole number"),
        ("hold", "٣", "hold must be a whole number"),
        ("title", "12", "title must not be digits alone"),
        ("title", "x" * 65, "title must be 1 to 64 characters"),
        ("format", "decimal:4", "format must be one of: number, time, decimal:1, decimal:2, decimal:3"),
        ("unit", "\n", "unit must be at most 16 printable characters"),
        ("unit", "x" * 17, "unit must be at most 16 printable characters"),
        ("periods", "day,year", "periods must be any of day, week and month"),
        ("periods", "none,day", "periods must be any of day, week and month"),
        ("zone", "Berlin", "zone must be an IANA time zone such as Europe/Berlin"),
        ("zone", "../../../etc/localtime", "zone must be an IANA time zone"),
        ("zone", "localtime", "zone must be an IANA time zone"),
        ("zone", "Europe", "zone must be an IANA time zone"),
        ("posts", "nobody", "posts must be one of: anyone, server"),
        ("listed", "maybe", "listed must be yes or no"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_with_what_would_be_right(name: str, text: str, sentence: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings([(name, text)])

    assert str(refused.value).startswith(sentence)
    assert len(str(refused.value).splitlines()) == 1


def test_the_lowest_score_is_not_above_the_highest() -> None:
    assert read_settings([("min", "5"), ("max", "5")]) == {"min": 5, "max": 5}
    with pytest.raises(BadSetting, match="min must be at most max, 5, not 6"):
        read_settings([("min", "6"), ("max", "5")])
    with pytest.raises(BadSetting):
        check_settings(LevelSettings(min=6, max=5))


def test_settings_are_written_as_lines_that_can_be_read_again() -> None:
    settings = LevelSettings(
        order="asc", max=90, title="Hill", unit='"', periods=("day", "month"), listed=False, hold=3
    )

    lines = write_settings(settings)

    read = read_settings(tuple(line.split("=", 1)) for line in lines.splitlines())  # type: ignore[misc]
    assert LevelSettings(**{name: value for name, value in read.items() if value is not None}) == settings
    assert lines.startswith("order=asc\nkeep=best\nmin=\nmax=90\ntitle=Hill\n")


def test_the_defaults_of_all_levels_are_those_of_a_level() -> None:
    assert LevelOptions().defaults == LevelSettings()


@pytest.mark.parametrize(
    ("form", "unit", "score", "text"),
    [
        ("number", None, 1500, "1500"),
        ("number", " m", 0, "0 m"),
        ("time", None, 0, "0:00.000"),
        ("time", None, 65_000, "1:05.000"),
        ("time", None, 3_599_999, "59:59.999"),
        ("time", None, 3_600_000, "1:00:00.000"),
        ("time", " h", 2147483647, "596:31:23.647 h"),
        ("decimal:1", None, 5, "0.5"),
        ("decimal:2", " €", 1505, "15.05 €"),
        ("decimal:3", None, 2147483647, "2147483.647"),
    ],
)
def test_a_score_is_written_as_players_read_it(form: str, unit: str | None, score: int, text: str) -> None:
    settings = LevelSettings(format=form, unit=unit)

    assert format_score(score, settings) == text
    assert settings.has_format is ((form, unit) != ("number", None))
