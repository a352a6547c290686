"""The calls about levels: their settings, which there are, which periods they have."""

from __future__ import annotations

import msgspec

from scoresvc.levels import PublicSettings
from scoresvc.scores import LevelPage, PeriodPage
from scoresvc.storage import Store


def settings(store: Store, level_id: int) -> PublicSettings:
    return msgspec.convert(store.levels.settings_of(level_id), PublicSettings, from_attributes=True)


def levels(store: Store, limit: int, after: str | None) -> LevelPage:
    return store.levels.levels(limit, after)


def periods(store: Store, level_id: int, kind: str, limit: int, after: str | None) -> PeriodPage:
    return store.levels.periods(level_id, kind, limit, after)
