"""What the actions of operators read and write, in one transaction of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from scoresvc.actions import ActionRecord, Ban
from scoresvc.levels import LevelSettings
from scoresvc.limits import UINT31_MAX
from scoresvc.storage.users import UserLedger

OwnSettings = dict[str, Any]  # what is set for one level, by name, in the form of LevelSettings


def merge_settings(defaults: LevelSettings, own: OwnSettings | None, has_scores: bool) -> LevelSettings:
    """Returns the settings of a level: its own over the defaults.

    A level that has scores and no settings of its own was ranked by the built-in `order` and `keep`, whatever the
    defaults say now.
    """
    settings = msgspec.to_builtins(defaults)
    if own is None and has_scores:
        settings |= {"order": LevelSettings().order, "keep": LevelSettings().keep}
    return msgspec.convert(settings | (own or {}), LevelSettings)


def turn(score: int, order: str) -> int:
    """Returns a posted score as boards have it, where more is always better; and back again."""
    return UINT31_MAX - score if order == "asc" else score


class StoredSubmission(NamedTuple):
    submission_id: int
    level_id: int
    user_id: int
    score: int  # as it was posted
    posted_at: int  # Unix microseconds, later than that of an equal score that stood on its boards
    day: int  # such as 20261125; 0: it counts for all time alone
    state: int  # the place of its word in actions.STATES
    action_id: int | None  # that changed the state last
    state_before: int | None  # that action


class StoredScore(NamedTuple):
    """A score on a board, turned where less is better: `2147483647 - score`."""

    period: int
    user_id: int
    score: int
    reached_at: int  # Unix microseconds


class Done(NamedTuple):
    """What an action did: fields of its ActionRecord."""

    before: dict[str, Any]
    after: dict[str, Any]
    level_id: int | None = None
    user_id: int | None = None
    submission_id: int | None = None
    undoes: int | None = None


class Ledger(UserLedger, Protocol):
    """Reads and writes of one transaction."""

    defaults: LevelSettings  # of [levels]
    names_are_unique: bool
    now: int  # Unix microseconds

    def lock_level(self, level_id: int) -> None:
        """Lets no post to the level and no other action come in between until the transaction ends."""

    def settings_of(self, level_id: int) -> LevelSettings: ...

    def own_settings(self, level_id: int) -> OwnSettings | None:
        """Returns what is set for the level itself, None where nothing is."""

    def put_settings(self, level_id: int, settings: OwnSettings | None) -> None: ...

    def oldest_periods(self, level_id: int) -> Mapping[str, int]:
        """Returns the oldest period of each kind that is kept; without a kind of which all are."""

    def has_scores(self, level_id: int) -> bool:
        """Returns whether anybody has a score of all time on the level, or a submission that stands."""

    def users_of(self, level_id: int) -> Iterable[int]:
        """Returns the users with a score or a submission on the level."""

    def levels_of(self, user_id: int) -> list[int]:
        """Returns the levels where the user has a score or a submission, by number."""

    def submission(self, submission_id: int) -> StoredSubmission | None: ...

    def submissions(self, level_id: int, user_id: int) -> list[StoredSubmission]:
        """Returns all in the order in which they were accepted."""

    def add_submission(
        self, level_id: int, user_id: int, score: int, posted_at: int, day: int, meta: str | None = None
    ) -> None:
        """Adds one that stands, for a score that has none; `posted_at` may be earlier than that of others."""

    def set_state(self, submission: StoredSubmission, state: int, action_id: int) -> None:
        """Sets the state, `state_before` and `action_id`."""

    def changed_by(self, action_id: int) -> list[StoredSubmission]:
        """Returns the submissions whose state this action changed last."""

    def scores(self, level_id: int, user_id: int) -> list[StoredScore]:
        """Returns the user's scores on all boards of the level."""

    def put_score(self, level_id: int, score: StoredScore) -> None: ...

    def delete_score(self, level_id: int, period: int, user_id: int) -> None: ...

    def ban_of(self, user_id: int) -> Ban | None: ...

    def put_ban(self, ban: Ban) -> None: ...

    def delete_ban(self, user_id: int) -> None: ...

    def delete_sessions(self, user_id: int) -> None: ...

    def delete_user(self, user_id: int) -> bool:
        """Deletes all about a user from all tables, so that no trace is left in the files.

        Actions about the user lose it, with what was before and after; those about many users lose its submissions
        from their number in `after`. Returns whether there was anything.
        """

    def add_token(self, name: str, token_hash: bytes, rights: str, levels: str, expires_at: int | None) -> bool:
        """Returns False where there is one of that name."""

    def delete_token(self, name: str) -> bool: ...

    def action(self, action_id: int) -> ActionRecord | None: ...

    def last_action(self, part: str, level_id: int | None, user_id: int | None) -> int | None:
        """Returns the number of the last action with `part` in `after` about the level, or about the user."""

    def next_action_id(self) -> int: ...

    def record(self, record: ActionRecord) -> None: ...
