"""What operators have set, cached: the settings of levels and the bans of users."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from scoresvc.actions import Ban
from scoresvc.levels import LevelSettings
from scoresvc.storage.cache import Cache
from scoresvc.storage.ledger import OwnSettings, merge_settings
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.ledger_rules import make_ban
from scoresvc.storage.sqlite.versions import LevelVersions

CACHE_AGE_MAX = 10.0  # seconds; then a change that was made by hand shows, too
LEVELS_CACHED = 10_000
USERS_CACHED = 20_000

BUILT_IN = LevelSettings()


class LevelRules(NamedTuple):
    settings: LevelSettings
    pinned: str  # what is to be set for the level itself when its first score comes, as JSON; empty: nothing


class UserRules(NamedTuple):
    ban: Ban | None


class Rules:
    """Reads with `readers`; `defaults` are the settings of a level for which nothing is set.

    Methods raise Unavailable where the database cannot be read.
    """

    def __init__(self, readers: Readers, versions: LevelVersions, defaults: LevelSettings) -> None:
        self._readers = readers
        self._versions = versions
        self.defaults = defaults
        self._is_pinned = (defaults.order, defaults.keep) != (BUILT_IN.order, BUILT_IN.keep)
        self._plain = LevelRules(defaults, "")
        self._levels: Cache[int, LevelRules] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)
        self._users: Cache[int, UserRules] = Cache(USERS_CACHED, CACHE_AGE_MAX)
        self._may_be_absent = defaults.periods == () and defaults.hold is None and not self._is_pinned
        self._are_absent = False
        self._absent_version = -1
        self._absent_until = 0.0  # of time.monotonic

    def are_absent(self) -> bool:
        """Returns whether nothing is set for any level or user, and the defaults say nothing of how posts are ranked.

        Then posts need no look at their levels and users; as long as it is known, this costs less than one look.
        """
        now = time.monotonic()
        if now >= self._absent_until or self._absent_version != self._versions.version_of_rules():
            self._absent_version = self._versions.version_of_rules()
            self._are_absent = self._may_be_absent and self._read_absence()
            self._absent_until = now + CACHE_AGE_MAX
        return self._are_absent

    def of_level(self, level_id: int) -> LevelRules:
        if self.are_absent():
            return self._plain
        return self._levels.get(level_id, self._versions.rule_version_of(level_id), self._read_level, level_id)

    def settings_of(self, level_id: int) -> LevelSettings:
        return self.of_level(level_id).settings

    def note_pinned(self, level_id: int) -> None:
        """To be called by the writer after the commit of a post to a level."""
        if self._is_pinned and self.of_level(level_id).pinned:
            self._versions.advance_rule(level_id)

    def ban_of(self, user_id: int) -> Ban | None:
        if self.are_absent():
            return None
        return self._users.get(user_id, self._versions.rule_version_of(user_id), self._read_user, user_id).ban

    def _read_absence(self) -> bool:
        ((is_any,),) = self._readers.read(
            "SELECT EXISTS (SELECT 1 FROM level_settings) OR EXISTS (SELECT 1 FROM bans)", {}
        )
        return not is_any

    def _read_level(self, level_id: int) -> LevelRules:
        ((own_text, has_scores),) = self._readers.read(
            """
            SELECT (SELECT settings FROM level_settings WHERE level_id = :level_id),
                   EXISTS (SELECT 1 FROM scores WHERE level_id = :level_id)
            """,
            {"level_id": level_id},
        )
        if own_text is None and not self._is_pinned:
            return self._plain
        own: OwnSettings | None = msgspec.json.decode(own_text) if own_text else None
        settings = merge_settings(self.defaults, own, bool(has_scores))
        if own is not None or has_scores:
            return LevelRules(settings, "")
        return LevelRules(settings, msgspec.json.encode({"order": settings.order, "keep": settings.keep}).decode())

    def _read_user(self, user_id: int) -> UserRules:
        rows = self._readers.read(
            """
            SELECT user_id, reason, until, hide
              FROM bans
             WHERE user_id = :user_id
            """,
            {"user_id": user_id},
        )
        return UserRules(make_ban(*rows[0]) if rows else None)
