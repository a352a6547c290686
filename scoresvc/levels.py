"""The settings of a level, and what each may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from scoresvc.errors import BadSetting
from scoresvc.limits import UINT31_MAX
from scoresvc.option_kinds import OneOf, OptionKind, Whole, YesNo

PERIOD_KINDS = ("day", "week", "month")
TITLE_CHARACTERS_MAX = 64
UNIT_CHARACTERS_MAX = 16


class LevelSettings(msgspec.Struct, frozen=True):
    """How a level ranks what is posted to it; KINDS says what each setting may be."""

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
    hold: int | None = None  # scores at least this good wait for an operator
    listed: bool = True


class NumberOrNone:
    def read(self, text: str) -> int | None:
        return Whole(0, UINT31_MAX).read(text) if text else None

    def describe(self) -> str:
        return f"0 to {UINT31_MAX}, or nothing"


class Periods:
    def read(self, text: str) -> tuple[str, ...]:
        words = set(text.replace(",", " ").split())
        if not words.issubset(PERIOD_KINDS):
            raise ValueError("must be day, week and month, those that are wanted, with commas between them, or nothing")
        return tuple(kind for kind in PERIOD_KINDS if kind in words)

    def describe(self) -> str:
        return "day, week and month, those that are wanted, with commas between them, or nothing"


class Zone:
    def read(self, text: str) -> str:
        try:
            ZoneInfo(text)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
        return text

    def describe(self) -> str:
        return "An IANA time zone such as Europe/Berlin"


class Unit:
    """What stands behind a number, with the blank before it."""

    def read(self, text: str) -> str | None:
        if len(text) > UNIT_CHARACTERS_MAX or not text.isprintable():
            raise ValueError(f"must be at most {UNIT_CHARACTERS_MAX} printable characters")
        return text or None

    def describe(self) -> str:
        return f"At most {UNIT_CHARACTERS_MAX} printable characters, or nothing"


KINDS: dict[str, OptionKind] = {
    "order": OneOf(("desc", "asc")),
    "keep": OneOf(("best", "latest", "sum")),
    "min": NumberOrNone(),
    "max": NumberOrNone(),
    "format": OneOf(("number", "time", "decimal:1", "decimal:2", "decimal:3")),
    "unit": Unit(),
    "periods": Periods(),
    "zone": Zone(),
    "posts": OneOf(("anyone", "server")),
    "pace": NumberOrNone(),
    "hold": NumberOrNone(),
    "listed": YesNo(),
}


def read_settings(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Reads settings by name; an empty text takes one back to its default: None. Raises BadSetting."""
    settings: dict[str, Any] = {}
    for name, text in texts:
        if name not in KINDS:
            raise BadSetting(name, f"is no setting; there are: {', '.join(KINDS)}")
        try:
            settings[name] = KINDS[name].read(text) if text else None
        except ValueError as error:
            raise BadSetting(name, str(error)) from None
    return settings
