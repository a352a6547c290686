"""The settings of a level."""

from __future__ import annotations

import msgspec


class LevelSettings(msgspec.Struct, frozen=True, omit_defaults=False):
    """How a level ranks what is posted to it; see the contract of each setting in the README."""

    order: str = "desc"  # or "asc": less is better
    keep: str = "best"  # or "latest", "sum"
    min: int | None = None
    max: int | None = None
    title: str | None = None
    format: str = "number"  # or "time", "decimal:1" to "decimal:3"
    unit: str | None = None
    periods: tuple[str, ...] = ()  # of periods.KINDS, in their order
    zone: str = "UTC"  # an IANA time zone
    posts: str = "anyone"  # or "server"
    pace: int | None = None  # points a second since the login, at most
    hold: int | None = None  # scores at least this good wait for an operator
    listed: bool = True
