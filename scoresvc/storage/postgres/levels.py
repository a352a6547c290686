"""Which levels and periods there are, and what is set for them."""

from __future__ import annotations

import hmac

from scoresvc.errors import NoSuchPeriod
from scoresvc.levels import LevelSettings
from scoresvc.periods import NUMBERS_OF_KIND, Period, PeriodWish, find_period, make_period
from scoresvc.scores import LevelEntry, LevelPage, PeriodEntry, PeriodPage, Position
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.pages import fields_of, make_entry
from scoresvc.storage.postgres.clocks import DatabaseClock
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.rules import SharedRules, make_settings


class SharedLevels:
    """See `LevelStore`."""

    def __init__(self, reader: Reader, rules: SharedRules, clock: DatabaseClock, cursor_key: bytes) -> None:
        self._reader = reader
        self._rules = rules
        self._clock = clock
        self._level_cursors = Cursors(hmac.digest(cursor_key, b"levels", "sha256"))
        self._period_cursors = Cursors(hmac.digest(cursor_key, b"periods", "sha256"))

    def settings_of(self, level_id: int) -> LevelSettings:
        return self._rules.settings_of(level_id)

    def find_period(self, level_id: int, wish: PeriodWish) -> Period:
        return find_period(wish, self._rules.settings_of(level_id), self._clock.now())

    def levels(self, limit: int, after: str | None) -> LevelPage:
        after_id = -1 if after is None else self._level_cursors.read(0, after).user_id
        entries: list[LevelEntry] = []
        while len(entries) <= limit:
            rows = self._reader.read(LEVELS, {"after_id": after_id, "count": limit + 1})
            for level_id, players, own in rows:
                settings = make_settings(self._rules.defaults, own, players > 0)
                if settings.listed:
                    entries.append(LevelEntry(level_id, settings.title, players))
            if len(rows) <= limit:
                break
            after_id = rows[-1][0]
        cursor = None
        if len(entries) > limit:
            cursor = self._level_cursors.write(0, Position(0, 0, entries[limit - 1].level_id))
        return LevelPage(tuple(entries[:limit]), cursor)

    def periods(self, level_id: int, kind: str, limit: int, after: str | None) -> PeriodPage:
        settings = self._rules.settings_of(level_id)
        if kind not in settings.periods:
            raise NoSuchPeriod(kind)
        lowest, highest = NUMBERS_OF_KIND[kind]
        if after is not None:
            highest = self._period_cursors.read(level_id, after, lowest).score - 1
        values = {"level_id": level_id, "lowest": lowest, "highest": highest, "count": limit + 1}
        rows = self._reader.read(PERIODS, values)
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
        return PeriodEntry(players, first, **fields_of(make_period(number, settings.zone, self._clock.now())))


LEVELS = """
    SELECT level_id, coalesce(board.players, 0), own.settings
      FROM (SELECT level_id, players
              FROM boards
             WHERE period = 0 AND players > 0 AND level_id > %(after_id)s
             ORDER BY level_id
             LIMIT %(count)s) AS board
      FULL JOIN (SELECT level_id, settings
                   FROM level_settings
                  WHERE level_id > %(after_id)s
                  ORDER BY level_id
                  LIMIT %(count)s) AS own
           USING (level_id)
     ORDER BY level_id
     LIMIT %(count)s
"""
PERIODS = """
    SELECT boards.period, players, first.score, first.reached_at, first.user_id, users.name
      FROM boards
     CROSS JOIN LATERAL (
           SELECT score, reached_at, user_id
             FROM scores
            WHERE scores.level_id = %(level_id)s AND scores.period = boards.period
            ORDER BY score DESC, reached_at, user_id
            LIMIT 1) AS first
      LEFT JOIN users ON users.user_id = first.user_id
     WHERE boards.level_id = %(level_id)s
       AND boards.period BETWEEN %(lowest)s AND %(highest)s
       AND players > 0
     ORDER BY boards.period DESC
     LIMIT %(count)s
"""
