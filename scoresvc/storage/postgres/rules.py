"""The settings of levels, as a node knows them.

Theory of operation: what a post comes to follows from the settings in the transaction that stores it, see `scores.py`.
What is asked before, such as the bounds of a score, and how boards are shown, goes by what this node has read: at most
CACHE_AGE_MAX ago, and never from before an action of its own. The event loop shares the cache, and does not wait for
what is not in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from scoresvc.levels import LevelSettings
from scoresvc.storage.cache import Cache
from scoresvc.storage.ledger import merge_settings
from scoresvc.storage.postgres.reading import Reader

CACHE_AGE_MAX = 1.0  # seconds
LEVELS_CACHED = 100_000

BUILT_IN = LevelSettings()


class PostRules(NamedTuple):
    """How posts count where nothing is set for a level."""

    defaults: str  # as JSON
    pinned: str  # what is to be set for a new level, as JSON; empty: nothing
    keeps_history: bool


def make_post_rules(defaults: LevelSettings, keeps_history: bool) -> PostRules:
    return PostRules(_write_defaults(defaults), _write_pinned(defaults), keeps_history)


def _write_defaults(defaults: LevelSettings) -> str:
    """Returns what the function `rules_at` needs of the defaults, as JSON."""
    names = ("order", "keep", "hold", "zone", "periods")
    return msgspec.json.encode({name: getattr(defaults, name) for name in names}).decode()


def _write_pinned(defaults: LevelSettings) -> str:
    """Returns what is to be set for a level itself when its first score comes, as JSON; empty: nothing."""
    if (defaults.order, defaults.keep) == (BUILT_IN.order, BUILT_IN.keep):
        return ""
    return msgspec.json.encode({"order": defaults.order, "keep": defaults.keep}).decode()


class RuleVersion:
    """Counts the actions of this node; what was read before one is not cached any more."""

    def __init__(self) -> None:
        self.number = 0

    def advance(self) -> None:
        self.number += 1


class SharedRules(NamedTuple):
    """Reads with `reader`; `defaults` are the settings of a level for which nothing is set."""

    reader: Reader
    defaults: LevelSettings
    version: RuleVersion
    cache: Cache[int, LevelSettings]

    def reading_with(self, reader: Reader) -> SharedRules:
        """Returns the same rules, with the same cache, read by another reader."""
        return self._replace(reader=reader)

    def settings_of(self, level_id: int) -> LevelSettings:
        """Raises Unavailable, or what the reader raises."""
        return self.cache.get(level_id, self.version.number, self._read, level_id)

    def _read(self, level_id: int) -> LevelSettings:
        ((own, has_scores),) = self.reader.read(
            """
            SELECT (SELECT settings FROM level_settings WHERE level_id = %(level_id)s),
                   EXISTS (SELECT FROM scores WHERE level_id = %(level_id)s)
            """,
            {"level_id": level_id},
        )
        return make_settings(self.defaults, own, has_scores)


def make_settings(defaults: LevelSettings, own: dict[str, Any] | None, has_scores: bool) -> LevelSettings:
    if own is None and (not has_scores or (defaults.order, defaults.keep) == (BUILT_IN.order, BUILT_IN.keep)):
        return defaults
    return merge_settings(defaults, own, has_scores)


def make_rules(reader: Reader, defaults: LevelSettings) -> SharedRules:
    return SharedRules(reader, defaults, RuleVersion(), Cache(LEVELS_CACHED, CACHE_AGE_MAX))
