"""What an import reads and writes besides a `Ledger`: many rows at once, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from scoresvc.rows import SubmissionRow
from scoresvc.storage.ledger import Ledger, StoredSubmission
from scoresvc.storage.rebuilding import Best

BoardKey = tuple[int, int, int]  # level, period, user
PostKey = tuple[int, int, int]  # level, user, Unix microseconds
UserOnLevel = tuple[int, int]  # level, user


class TransferLedger(Ledger, Protocol):
    """Of what is asked for, what is not there is left out."""

    def scores_at(self, keys: Iterable[BoardKey]) -> dict[BoardKey, Best]:
        """Returns what stands on boards; scores are turned."""

    def scores_of(self, users: Iterable[UserOnLevel]) -> dict[BoardKey, Best]:
        """Returns what users have on all boards of levels; scores are turned."""

    def submissions_at(self, keys: Iterable[PostKey]) -> list[StoredSubmission]:
        """Returns those that were posted at these times."""

    def submissions_of(self, users: Iterable[UserOnLevel]) -> list[StoredSubmission]:
        """Returns all of users on levels; those of each in the order in which they were accepted."""

    def submission_rows(self, submission_ids: Iterable[int]) -> dict[int, SubmissionRow]: ...

    def banned_among(self, user_ids: Iterable[int]) -> set[int]: ...

    def put_scores(self, scores: Mapping[BoardKey, Best]) -> None:
        """Stores scores, which are turned, in place of those that stand there; posts come later than all of them."""

    def insert_submissions(self, rows: Sequence[SubmissionRow]) -> None:
        """Adds submissions with their own numbers, which nobody has."""

    def lock_levels(self, level_ids: Iterable[int]) -> None:
        """As `lock_level`, of all of them."""


class DryLedger:
    """A ledger that reads, and writes nothing."""

    WRITES = frozenset(
        {
            "lock_level", "lock_levels", "put_settings", "add_submission", "set_state", "put_score", "delete_score",
            "put_ban", "delete_ban", "delete_sessions", "delete_user", "put_user", "record", "put_scores",
            "insert_submissions",
        }
    )  # fmt: skip

    def __init__(self, ledger: TransferLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return _write_nothing if name in self.WRITES else getattr(self._ledger, name)


def _write_nothing(*values: object) -> None:
    return None
