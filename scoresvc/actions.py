"""What operators do, and what is kept of it."""

from __future__ import annotations

from typing import Any

import msgspec

from scoresvc.scores import Timestamp, Value

STATES = ("stands", "held", "removed")  # of a submission; the database has the places of these words
STANDS, HELD, REMOVED = range(3)

RIGHTS = ("read", "moderate", "settings", "server", "metrics", "all")


class Action(msgspec.Struct, frozen=True, tag_field="kind"):
    """One thing that an operator wants done. The tag is the word for it in the audit log."""


class RemoveScore(Action, frozen=True, tag="remove_score"):
    """Removes the submission that stands on a board; the user's next best stands again, in every period."""

    level_id: int
    user_id: int
    period: int


class RemoveSubmission(Action, frozen=True, tag="remove"):
    submission_id: int


class RestoreSubmission(Action, frozen=True, tag="restore"):
    submission_id: int


class ApproveSubmission(Action, frozen=True, tag="approve"):
    """Lets a held submission stand."""

    submission_id: int


class BanUser(Action, frozen=True, tag="ban"):
    """Takes the user's entries from all boards until the ban ends; refuses logins and posts, but where it hides."""

    user_id: int
    reason: str = ""
    until: int | None = None  # Unix microseconds; None: for ever
    hide: bool = False


class EndBan(Action, frozen=True, tag="unban"):
    user_id: int


class EraseUser(Action, frozen=True, tag="erase"):
    user_id: int


class RenameUser(Action, frozen=True, tag="rename"):
    user_id: int
    name: str | None  # None takes it away


class EndSecret(Action, frozen=True, tag="end_secret"):
    """Takes the user's secret away, so that the number can be claimed again, and ends the user's sessions."""

    user_id: int


class SetLevel(Action, frozen=True, tag="set_level"):
    """Sets what `settings` names, in the form of LevelSettings; None takes a setting back to its default."""

    level_id: int
    settings: dict[str, Any]
    rebuild: bool = False


class ResetLevel(Action, frozen=True, tag="reset_level"):
    level_id: int
    rebuild: bool = False


class ClearLevel(Action, frozen=True, tag="clear_level"):
    level_id: int


class UndoAction(Action, frozen=True, tag="undo"):
    action_id: int


class AddToken(Action, frozen=True, tag="add_token"):
    name: str
    token_hash: bytes
    rights: tuple[str, ...]
    levels: str = "*"
    expires_at: int | None = None  # Unix microseconds


class EndToken(Action, frozen=True, tag="end_token"):
    name: str


AnyAction = (
    RemoveScore | RemoveSubmission | RestoreSubmission | ApproveSubmission | BanUser | EndBan | EraseUser | RenameUser
    | EndSecret | SetLevel | ResetLevel | ClearLevel | UndoAction | AddToken | EndToken
)  # fmt: skip


class ActionRecord(Value, frozen=True):
    """A line of the audit log."""

    id: int
    kind: str
    actor: str  # the name of the token, or "shell"
    at: Timestamp
    level_id: int | None
    user_id: int | None
    submission_id: int | None
    before: dict[str, Any]  # of what the action changed
    after: dict[str, Any]
    undoes: int | None  # the action that this one undid


class ActionPage(Value, frozen=True):
    actions: tuple[ActionRecord, ...]  # newest first
    next: str | None


class Submission(Value, frozen=True):
    """A post that was accepted."""

    id: int
    level_id: int
    user_id: int
    score: int  # as it was posted
    posted_at: Timestamp
    state: str  # of STATES
    meta: str | None


class SubmissionPage(Value, frozen=True):
    level_id: int
    submissions: tuple[Submission, ...]  # newest first
    next: str | None


class HeldPosts(Value, frozen=True):
    submissions: tuple[Submission, ...]  # oldest first


class Ban(Value, frozen=True):
    user_id: int
    reason: str
    until: Timestamp | None
    hide: bool


class UserRecord(Value, frozen=True):
    """All that is stored about a user."""

    user_id: int
    name: str | None
    claimed: bool  # whether the user has a secret
    external: str | None  # by which the game's own server knows the user
    ban: Ban | None
    scores: tuple[dict[str, Any], ...]  # each with level, period, score, reached_at
    submissions: tuple[Submission, ...]  # oldest first
    sessions: int  # that are valid


class FoundUser(Value, frozen=True):
    user_id: int
    name: str | None
    external: str | None


class UserMatches(Value, frozen=True):
    """Users who are known by a name, or by a text of the game's own server."""

    users: tuple[FoundUser, ...]  # by number


class Token(Value, frozen=True):
    """Who may do what under /admin."""

    name: str
    rights: tuple[str, ...]  # of RIGHTS
    levels: str  # such as 100-199, 7 or *
    expires_at: Timestamp | None
