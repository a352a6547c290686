"""What is exported and imported: a row of each kind.

Times are Unix microseconds. What is None is not known, or not set.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class ScoreRow(NamedTuple):
    """A score that stands on a board."""

    level_id: int
    period: int  # its number, see periods.py
    user_id: int
    score: int  # as it was posted
    reached_at: int | None
    name: str | None = None  # of the user
    meta: str | None = None  # what was sent with the score
    external: str | None = None  # who the user is to another service, where its number is not known; never exported


class SubmissionRow(NamedTuple):
    """A post that was accepted."""

    submission_id: int
    level_id: int
    user_id: int
    score: int
    posted_at: int
    day: int  # such as 20261125; 0: it counts for all time alone
    state: int  # the place of its word in actions.STATES
    meta: str | None = None
    action_id: int | None = None  # that changed the state last
    state_before: int | None = None
    follows: int | None = None  # see the migrations


class UserRow(NamedTuple):
    """A user of whom more is known than a number."""

    user_id: int
    name: str | None = None
    external: str | None = None
    secret_hash: bytes | None = None  # SHA-256
    banned: str | None = None  # "yes", or "hidden" where the player is not told
    banned_until: int | None = None
    reason: str | None = None


class LevelRow(NamedTuple):
    """What is set for a level, each as text."""

    level_id: int
    order: str | None = None
    keep: str | None = None
    min: str | None = None
    max: str | None = None
    title: str | None = None
    format: str | None = None
    unit: str | None = None
    periods: str | None = None
    zone: str | None = None
    posts: str | None = None
    pace: str | None = None
    hold: str | None = None
    listed: str | None = None


class ActionRow(NamedTuple):
    """A line of the audit log."""

    action_id: int
    acted_at: int
    actor: str
    kind: str
    level_id: int | None
    user_id: int | None
    submission_id: int | None
    before: dict[str, Any]
    after: dict[str, Any]
    undoes: int | None = None


Row = ScoreRow | SubmissionRow | UserRow | LevelRow | ActionRow

# In the order in which they are imported where one file has several: each may depend on those before.
ROW_KINDS: dict[str, type[Any]] = {
    "levels": LevelRow,
    "users": UserRow,
    "submissions": SubmissionRow,
    "actions": ActionRow,
    "scores": ScoreRow,
}


class Selection(NamedTuple):
    """Which rows are exported; of users and actions always all."""

    level_id: int | None = None
    period: int | None = None  # of scores


class Outcome(NamedTuple):
    """What became of a row."""

    has_changed: bool = False
    reason: str = ""  # why it was refused
    user_id: int | None = None  # whose number it is, where the row had none
