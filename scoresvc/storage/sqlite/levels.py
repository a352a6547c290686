"""Which levels and periods there are, and what is set for them."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from scoresvc.errors import NoSuchPeriod
from scoresvc.levels import LevelSettings
from scoresvc.periods import NUMBERS_OF_KIND, Period, PeriodWish, find_period, make_period
from scoresvc.scores import LevelEntry, LevelPage, PeriodEntry, PeriodPage, Position
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.pages import fields_of, make_entry
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
              FROM (SELECT level_id FROM boards WHERE period = 0 AND players > 0 AND level_id > :after_id
                     UNION
                    SELECT level_id FROM level_settings WHERE level_id > :after_id) AS each
             WHERE coalesce((SELECT json_extract(settings, '$.listed')
                               FROM level_settings
                              WHERE level_settings.level_id = each.level_id), :listed)
             ORDER BY level_id
             LIMIT :count
            """,
            {"after_id": after_id, "listed": self._rules.defaults.listed, "count": limit + 1},
        )
        entries = tuple(
            [
                LevelEntry(level_id, self._rules.settings_of(level_id).title, players or 0)
                for level_id, players in rows[:limit]
            ]
        )
        cursor = None
        if len(rows) > limit:
            cursor = self._level_cursors.write(0, Position(0, 0, rows[limit - 1][0]))
        return LevelPage(entries, cursor)

    def periods(self, level_id: int, kind: str, limit: int, after: str | None) -> PeriodPage:
        settings = self._rules.settings_of(level_id)
        if kind not in settings.periods:
            raise NoSuchPeriod(kind)
        lowest, highest = NUMBERS_OF_KIND[kind]
        if after is not None:
            highest = self._period_cursors.read(level_id, after, lowest).score - 1
        values = {"level_id": level_id, "lowest": lowest, "highest": highest, "count": limit + 1}
        rows = self._readers.read(PERIODS, values)
        entries = tuple([self._make_period(settings, *row) for row in rows[:limit]])
        cursor = None
        if len(rows) > limit:
            cursor = self._period_cursors.write(level_id, Position(rows[limit - 1][0], 0, 0), lowest)
        return PeriodPage(level_id, entries, cursor)

    def _make_period(
        self,
        settings: LevelSettings,
        number: int,
        players: int,
        score: int,
        reached_at: int,
        user_id: int,
        name: str | None,
    ) -> PeriodEntry:
        first = make_entry(1, Position(score, reached_at, user_id, name), settings)
        return PeriodEntry(players, first, **fields_of(make_period(number, settings.zone, self._now())))

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)


PERIODS = """
    SELECT boards.period, players, score, reached_at, scores.user_id, name
      FROM boards
      JOIN scores
        ON scores.level_id = boards.level_id
       AND scores.period = boards.period
       AND scores.user_id = (SELECT user_id
                               FROM scores AS best
                              WHERE best.level_id = boards.level_id AND best.period = boards.period
                              ORDER BY score DESC, reached_at, user_id
                              LIMIT 1)
      LEFT JOIN users ON users.user_id = scores.user_id
     WHERE boards.level_id = :level_id
       AND boards.period BETWEEN :lowest AND :highest
       AND players > 0
     ORDER BY boards.period DESC
     LIMIT :count
"""
