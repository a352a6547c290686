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
    name: str | None = None  # of the user


class Value(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={
        "user_id": "user",
        "level_id": "level",
        "key": "sessionkey",
        "submission_id": "submission",
    },
):
    """What a call answers with. Users, levels and scores are 0 to 2147483647, ranks begin with 1."""


class Session(Value, frozen=True):
    user_id: int
    key: str  # 32 letters and digits
    expires_at: Timestamp


class NewUser(Value, frozen=True):
    user_id: int
    name: str | None
    secret: str  # 32 letters and digits
    key: str
    expires_at: Timestamp  # of the key


class ClaimedUser(Value, frozen=True):
    user_id: int
    secret: str


class NamedUser(Value, frozen=True):
    user_id: int
    name: str | None


class ActiveSession(NamedTuple):
    """Whose session a key is."""

    user_id: int
    age: float  # seconds since the login


class PeriodResult(Value, frozen=True):
    """What a post changed on the board of a period."""

    period: str
    improved: bool
    best: int
    previous: int | None
    rank: int
    players: int
    ends_at: Timestamp


class PostResult(Value, frozen=True):
    """What a post changed, as of its own transaction, on the board of all time and on those of the periods."""

    improved: bool
    best: int  # what stands on the board now
    previous: int | None  # what stood there before; None for a user's first score on the level
    rank: int
    players: int  # of the level
    periods: tuple[PeriodResult, ...] | msgspec.UnsetType = msgspec.UNSET  # day, week, month, where the level has them
    held: bool | msgspec.UnsetType = msgspec.UNSET  # True where it waits for an operator, and players may know


class Replay(NamedTuple):
    """The answer to a post that was stored before."""

    result: PostResult


class PostDetails(NamedTuple):
    """What a post may have besides its score."""

    name: str | None = None  # for the user
    meta: str | None = None  # belongs to the submission
    key: str | None = None  # idempotency key


NO_DETAILS = PostDetails()


class Entry(Value, frozen=True):
    rank: int  # one plus the number of players with a better score
    user_id: int
    score: int
    reached_at: Timestamp
    name: str | None  # of the user
    meta: str | msgspec.UnsetType | None = msgspec.UNSET  # of the submission, where it is asked for
    text: str | msgspec.UnsetType = msgspec.UNSET  # the score as players read it, where the level has a format


class PeriodFields(Value, frozen=True, kw_only=True):
    """Which period an answer is of; all time has no bounds."""

    period: str = "all"  # its name
    starts_at: Timestamp | msgspec.UnsetType = msgspec.UNSET
    ends_at: Timestamp | msgspec.UnsetType = msgspec.UNSET  # the first moment after it
    closed: bool | msgspec.UnsetType = msgspec.UNSET  # whether it is over


class Board(PeriodFields, frozen=True):
    """A part of a board, in its order."""

    level_id: int
    players: int  # of the whole board
    entries: tuple[Entry, ...]
    next: str | None  # the cursor of the page that follows, None on the last one


class WatchedBoard(Board, frozen=True, kw_only=True):
    """A board with what a user who is further down wants to see besides."""

    around: tuple[Entry, ...]  # the user with their neighbours, without those who are among `entries`


class BoardEvent(NamedTuple):
    """What a viewer of a board is sent."""

    version: str  # the tag of the board
    board: Board | None  # None: the viewer has it already


class Standing(PeriodFields, frozen=True):
    """Where a user stands on a board."""

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


class UserScores(PeriodFields, frozen=True):
    user_id: int
    scores: tuple[LevelScore, ...]  # by level
    next: str | None  # the cursor of the page that follows, None on the last one


class LevelEntry(Value, frozen=True):
    level_id: int
    title: str | None
    players: int


class LevelPage(Value, frozen=True):
    """Levels that have scores or settings, by number."""

    levels: tuple[LevelEntry, ...]
    next: str | None


class PeriodEntry(PeriodFields, frozen=True):
    players: int
    first: Entry


class PeriodPage(Value, frozen=True):
    """The periods of a kind in which somebody has a score, newest first."""

    level_id: int
    periods: tuple[PeriodEntry, ...]
    next: str | None


class ServiceStatus(Value, frozen=True):
    status: str  # "ok" or "ready"
    version: str  # of scoresvc
    schema: int  # the version of the tables
    engine: str
    uptime: int  # seconds
    oldest_write_ms: int  # that the oldest unfinished write has waited
    last_backup_at: Timestamp | None


class ServiceInfo(Value, frozen=True):
    """What answers here, and where it is described."""

    name: str
    version: str
    openapi: str  # the path of the document
    docs: str  # the same as a page


def percentile(rank: int, players: int) -> float:
    """Returns the share of the players, in percent, whose score is not higher than that of `rank`."""
    return round(100 * (players - rank + 1) / players, 1)
