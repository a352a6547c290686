"""Which levels and periods there are, and what is set for them."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec

from scoresvc.errors import NoSuchPeriod
from scoresvc.levels import LevelSettings, format_score
from scoresvc.periods import Period, PeriodWish, find_period, make_period, period_bounds_of_kind
from scoresvc.scores import Entry, LevelEntry, LevelPage, PeriodEntry, PeriodPage, Position, Timestamp
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.ledger import turn
from scoresvc.storage.pages import fields_of
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.rules import Rules


class Levels:
    """See `LevelStore`; `clock` returns Unix seconds."""

    def __init__(self, readers: Readers, rules: Rules, clock: Callable[[], float]) -> None:
        self._readers = readers
        self._rules = rules
        self._clock = clock
        ((cursor_key,),) = readers.read("SELECT key FROM cursor_key", {})
        self._level_cursors = Cursors(hmac.digest(cursor_key, b"levels", "sha256"))
        self._period_cursors = Cursors(hmac.digest(cursor_key, b"periods", "sha256"))

    def settings_of(self, level_id: int) -> LevelSettings:
        return self._rules.settings_of(level_id)

    def find_period(self, level_id: int, wish: PeriodWish) -> Period:
        return find_period(wish, self._rules.settings_of(level_id), self._now())

    def levels(self, limit: int, after: str | None) -> LevelPage:
        after_id = -1 if after is None else self._level_cursors.read(0, after).user_id
        rows = self._readers.read(
            """
            SELECT level_id, (SELECT players FROM boards WHERE boards.level_id = each.level_id AND period = 0)
              FROM (SELECT level_id FROM boards WHERE period = 0 AND players > 0
                     UNION
                    SELECT level_id FROM level_settings) AS each
             WHERE level_id > :after_id
             ORDER BY level_id
            """,
            {"after_id": after_id},
        )
        entries = []
        for level_id, players in rows:
            settings = self._rules.settings_of(level_id)
            if settings.listed:
                entries.append(LevelEntry(level_id, settings.title, players or 0))
            if len(entries) > limit:
                break
        cursor = self._level_cursors.write(0, Position(0, 0, entries[limit - 1].level_id))
        return LevelPage(tuple(entries[:limit]), cursor if len(entries) > limit else None)
