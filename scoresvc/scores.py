"""The values that pass between storage and the calls; their fields are those of the JSON answers."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Timestamp(int):
    """Unix microseconds, written in JSON as UTC in ISO 8601."""


class Position(NamedTuple):
    """Where an entry stands in the order of its level: by score downwards, then by time, then by user."""

    score: int
    reached_at: int  # Unix microseconds
    user_id: int


class Value(
    msgspec.Struct, frozen=True, gc=False, rename={"user_id": "user", "level_id": "level", "key": "sessionkey"}
):
    """What a call answers with. Users, levels and scores are 0 to 2147483647, ranks begin with 1."""


class Session(Value, frozen=True):
    user_id: int
    key: str  # 32 letters and digits
    expires_at: Timestamp


class PostResult(Value, frozen=True):
    """What a post changed, as of its own transaction."""

    improved: bool
    best: int
    previous: int | None  # the best before the post; None for a user's first score on the level
    rank: int
    players: int  # of the level


class Entry(Value, frozen=True):
    rank: int  # one plus the number of players with a higher score
    user_id: int
    score: int
    reached_at: Timestamp


class Board(Value, frozen=True):
    """A part of a level's board, in its order."""

    level_id: int
    players: int  # of the whole level
    entries: tuple[Entry, ...]
    next: str | None  # the cursor of the page that follows, None on the last one


class Standing(Value, frozen=True):
    """Where a user stands on a level."""

    level_id: int
    user_id: int
    score: int
    rank: int
    players: int
    percentile: float  # of the players whose score is not higher, in percent, one decimal
    reached_at: Timestamp


class LevelScore(Value, frozen=True):
    """A user's best on a level, and its place there."""

    level_id: int
    score: int
    rank: int
    players: int


class UserScores(Value, frozen=True):
    user_id: int
    scores: tuple[LevelScore, ...]  # by level


class ServiceStatus(Value, frozen=True):
    status: str  # "ok" or "ready"
    version: str  # of scoresvc
    schema: int  # the version of the tables
    engine: str
    uptime: int  # seconds
    oldest_write_ms: int  # that the oldest unfinished write has waited
    last_backup_at: Timestamp | None


def percentile(rank: int, players: int) -> float:
    """Returns the share of the players, in percent, whose score is not higher than that of `rank`."""
    return round(100 * (players - rank + 1) / players, 1)
