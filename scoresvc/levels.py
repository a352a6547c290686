"""The settings of a level: what each may be, how it is read, how a score is written by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import msgspec

from scoresvc.errors import BadSetting
from scoresvc.limits import UINT31_MAX
from scoresvc.names import read_name
from scoresvc.option_kinds import OneOf, OptionKind, Whole, YesNo, option

PERIOD_KINDS = ("day", "week", "month")
TITLE_CHARACTERS_MAX = 64
UNIT_CHARACTERS_MAX = 16
ZONES_OF_THE_MACHINE = ("localtime", "Factory")  # that mean something else elsewhere, or nothing


class PublicSettings(msgspec.Struct, frozen=True):
    """The settings of a level that players may know; KINDS says what each may be."""

    order: str = "desc"  # or "asc": less is better
    keep: str = "best"  # or "latest", "sum"
    min: int | None = None
    max: int | None = None
    title: str | None = None
    format: str = "number"  # or "time", "decimal:1" to "decimal:3"
    unit: str | None = None
    periods: tuple[str, ...] = ()  # of PERIOD_KINDS, in their order
    zone: str = "UTC"  # an IANA time zone
    posts: str = "anyone"  # or "server"
    pace: int | None = None  # points a second since the login, at most
    listed: bool = True


class LevelSettings(PublicSettings, frozen=True):
    """How a level ranks what is posted to it."""

    hold: int | None = None  # scores at least this good wait for an operator; who knows it stays below

    @property
    def has_format(self) -> bool:
        """Whether players read a score otherwise than as the number that it is."""
        return self.format != "number" or self.unit is not None


class NumberOrNone(NamedTuple):
    low: int = 0

    def read(self, text: str) -> int | None:
        return Whole(self.low, UINT31_MAX).read(text) if text else None

    def describe(self) -> str:
        return f"{self.low} to {UINT31_MAX}, or nothing"


class Periods:
    """Kinds of periods with commas or blanks between them."""

    def read(self, text: str) -> tuple[str, ...]:
        words = set(text.replace(",", " ").split())
        if words == {"none"}:  # in a level's own settings nothing means the default
            return ()
        if not words.issubset(PERIOD_KINDS):
            raise ValueError(f"must be {self.describe()}")
        return tuple(kind for kind in PERIOD_KINDS if kind in words)

    def describe(self) -> str:
        return "any of day, week and month with commas between them, or none"


class Zone:
    def read(self, text: str) -> str:
        if text not in _zones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin")
        return text

    def describe(self) -> str:
        return "An IANA time zone such as Europe/Berlin"


@lru_cache(1)
def _zones() -> frozenset[str]:
    """The zones that there are. It takes some 10 ms to find them."""
    return frozenset(available_timezones().difference(ZONES_OF_THE_MACHINE))


class Unit:
    """What stands behind a number, with the blank before it; in double quotes where blanks would get lost."""

    def read(self, text: str) -> str | None:
        if len(text) > 1 and text.startswith('"') and text.endswith('"'):
            text = text[1:-1]
        if len(text) > UNIT_CHARACTERS_MAX or not text.isprintable():
            raise ValueError(f"must be at most {UNIT_CHARACTERS_MAX} printable characters")
        return text or None

    def describe(self) -> str:
        return f'At most {UNIT_CHARACTERS_MAX} printable characters, such as " m" with its quotes, or nothing'


class Title:
    def read(self, text: str) -> str:
        return read_name(text, TITLE_CHARACTERS_MAX)

    def describe(self) -> str:
        return f"1 to {TITLE_CHARACTERS_MAX} characters"


KINDS: dict[str, OptionKind] = {
    "order": OneOf(("desc", "asc")),
    "keep": OneOf(("best", "latest", "sum")),
    "min": NumberOrNone(),
    "max": NumberOrNone(),
    "title": Title(),
    "format": OneOf(("number", "time", "decimal:1", "decimal:2", "decimal:3")),
    "unit": Unit(),
    "periods": Periods(),
    "zone": Zone(),
    "posts": OneOf(("anyone", "server")),
    "pace": NumberOrNone(1),
    "hold": NumberOrNone(),
    "listed": YesNo(),
}


def read_settings(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Reads settings by name, each as the field of LevelSettings; None for an empty text or `default`.

    Raises BadSetting.
    """
    settings = {name: _read_setting(name, text) for name, text in texts}
    check_settings(LevelSettings(min=settings.get("min"), max=settings.get("max")))
    return settings


def _read_setting(name: str, text: str) -> Any:
    if name not in KINDS:
        raise BadSetting(name, f"is not a setting; there are: {', '.join(KINDS)}")
    try:
        return KINDS[name].read(text) if text not in ("", "default") else None
    except ValueError as error:
        raise BadSetting(name, str(error)) from None


def check_settings(settings: LevelSettings) -> LevelSettings:
    """Returns settings that do not contradict each other. Raises BadSetting."""
    if settings.min is not None and settings.max is not None and settings.min > settings.max:
        raise BadSetting("min", f"must be at most max, {settings.max}, not {settings.min}")
    return settings


def write_settings(settings: PublicSettings) -> str:
    """Writes settings as lines such as `order=desc`, with nothing behind = where nothing is set."""
    return "".join([f"{name}={_as_text(value)}\n" for name, value in msgspec.structs.asdict(settings).items()])


def write_setting(value: Any) -> str:
    """Writes one setting as `read_settings` reads it."""
    return "none" if value in ([], ()) else _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ",".join(value)
    return "" if value is None else str(value)


def format_score(score: int, settings: LevelSettings) -> str:
    """Writes a score as players read it: 65000 as `65000 m`, as `65.000` or, of milliseconds, as `1:05.000`."""
    kind, _, decimals = settings.format.partition(":")
    if kind == "time":
        text = _format_milliseconds(score)
    elif kind == "decimal":
        whole, fraction = divmod(score, 10 ** int(decimals))
        text = f"{whole}.{fraction:0{decimals}d}"
    else:
        text = str(score)
    return text + (settings.unit or "")


def _format_milliseconds(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest // 1000:02d}.{rest % 1000:03d}"
    return f"{minutes}:{seconds}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds}"


@dataclass(frozen=True)
class LevelOptions:
    """The settings of a level for which nothing else is set, and how many periods are kept."""

    order: str = option("desc", KINDS["order"], "Whether more is better (desc) or less (asc).")
    keep: str = option(
        "best", KINDS["keep"], "What stands on a board of a user's posts: the best, the latest, or their sum."
    )
    min: int | None = option(None, KINDS["min"], "The lowest score that is accepted.")
    max: int | None = option(None, KINDS["max"], "The highest score that is accepted.")
    format: str = option(
        "number", KINDS["format"], "How players read a score: as it is, as milliseconds, or with decimals."
    )
    unit: str | None = option(None, KINDS["unit"], "What stands behind a score.")
    periods: tuple[str, ...] = option((), KINDS["periods"], "Which boards a level has besides that of all time.")
    zone: str = option("UTC", KINDS["zone"], "Where a day begins.")
    posts: str = option(
        "anyone", KINDS["posts"], "Whether anyone posts who has logged in, or only the game's own server."
    )
    pace: int | None = option(None, KINDS["pace"], "The most points a second, counted from the login.")
    hold: int | None = option(None, KINDS["hold"], "Scores at least this good wait for an operator.")
    listed: bool = option(True, KINDS["listed"], "Whether a level is in the list of levels.")
    keep_days: int = option(0, Whole(0, 100_000), "How many boards of days are kept; 0: all.")
    keep_weeks: int = option(0, Whole(0, 100_000), "How many boards of weeks are kept; 0: all.")
    keep_months: int = option(0, Whole(0, 100_000), "How many boards of months are kept; 0: all.")

    @property
    def defaults(self) -> LevelSettings:
        """Returns the settings. Raises BadSetting where they contradict each other."""
        names = [each.name for each in fields(self) if each.name in KINDS]
        return check_settings(LevelSettings(**{name: getattr(self, name) for name in names}))
