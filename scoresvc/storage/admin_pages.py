"""Pages of what operators read, put together of the rows of an engine."""

from __future__ import annotations

import hmac
from typing import Any

from scoresvc.actions import STATES, ActionPage, ActionRecord, Submission, SubmissionPage, Token
from scoresvc.periods import kind_of, name_of
from scoresvc.scores import Position, Timestamp
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.ledger import Ledger, turn

NEWEST = 2**62  # above the numbers of all submissions and actions


class AdminPages:
    """Makes pages, newest first; cursors are signed with a key of `cursor_key`."""

    def __init__(self, cursor_key: bytes) -> None:
        self._submission_cursors = Cursors(hmac.digest(cursor_key, b"submissions", "sha256"))
        self._action_cursors = Cursors(hmac.digest(cursor_key, b"actions", "sha256"))

    def submissions_before(self, level_id: int, after: str | None) -> int:
        """Returns the number below which the submissions of a page are. Raises BadCursor."""
        return NEWEST if after is None else self._submission_cursors.read(level_id, after).reached_at

    def make_submissions(self, level_id: int, found: list[Submission], limit: int) -> SubmissionPage:
        """Makes a page of what was found, one more than `limit` where there are more."""
        cursor = None
        if len(found) > limit:
            cursor = self._submission_cursors.write(level_id, Position(0, found[limit - 1].id, 0))
        return SubmissionPage(level_id, tuple(found[:limit]), cursor)

    def actions_before(self, after: str | None) -> int:
        """As `submissions_before`."""
        return NEWEST if after is None else self._action_cursors.read(0, after).reached_at

    def make_actions(self, found: list[ActionRecord], limit: int) -> ActionPage:
        """As `make_submissions`."""
        cursor = self._action_cursors.write(0, Position(0, found[limit - 1].id, 0)) if len(found) > limit else None
        return ActionPage(tuple(found[:limit]), cursor)


def make_token(name: str, rights: str, levels: str, expires_at: int | None) -> Token:
    """Makes a token of a row."""
    return Token(name, tuple(rights.split()), levels, None if expires_at is None else Timestamp(expires_at))


def make_submission(
    submission_id: int, level_id: int, user_id: int, score: int, posted_at: int, state: int, meta: str | None
) -> Submission:
    """Makes a submission of a row."""
    return Submission(submission_id, level_id, user_id, score, Timestamp(posted_at), STATES[state], meta)


def make_user_score(ledger: Ledger, level_id: int, period: int, score: int, reached_at: int) -> dict[str, Any] | None:
    """Makes what is told of a score of a row; None for one in a period of a kind that the level no longer has.

    Such a score may have been turned by another order than the level has now.
    """
    settings = ledger.settings_of(level_id)
    if kind_of(period) not in ("all", *settings.periods):
        return None
    posted = turn(score, settings.order)
    return {"level": level_id, "period": name_of(period), "score": posted, "reached_at": Timestamp(reached_at)}
