"""Compares what stands on boards with bans and submissions.

Theory of operation: what is wrong is told in board_faults.py. All users on all levels are gone through in the order of
user and level, some at a time, so that neither memory nor the time of a snapshot grows with the database. Only where a
board differs are all submissions of the user to the level read. A repair finds faults in the same way, without a lock.
It then changes some scores in one transaction, each only where it is still what it was, and none where an operator has
acted since: the submissions may be others now. What is passed over is found in the next round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from typing import NamedTuple, Protocol

import msgspec

from scoresvc.levels import LevelOptions, LevelSettings
from scoresvc.periods import name_of_board
from scoresvc.storage.board_faults import BoardFault, boards_in, faults_of_banned, find_board_faults
from scoresvc.storage.ledger import OwnSettings, StoredScore, StoredSubmission, merge_settings
from scoresvc.storage.rebuilding import boards_of, oldest_periods

SLICE = 1000  # users on a level that are compared in one snapshot
LEVELS_CACHED = 10_000

Key = tuple[int, int]  # user and level
ScoreRow = tuple[int, int, int, int, int]  # level, period, user, turned score, Unix microseconds
Tick = Callable[[int], object]  # gets how many scores were compared


class UserFault(NamedTuple):
    level_id: int
    user_id: int
    last_action_id: int  # when it was found
    fault: BoardFault


class AuditRows(Protocol):
    """What an engine reads for an audit, of users on levels behind one of them, up to another, in that order."""

    def snapshot(self) -> AbstractContextManager[object]:
        """Lets what is read in the `with` block be of one moment."""

    def last_key(self, after: Key, count: int) -> Key | None:
        """Returns the last of the next `count` that have a score or a submission."""

    def scores(self, after: Key, last: Key) -> list[ScoreRow]: ...

    def submissions(self, after: Key, last: Key) -> Iterable[StoredSubmission]:
        """Returns those of a user to a level in the order in which they were accepted."""

    def submissions_of(self, key: Key) -> list[StoredSubmission]: ...

    def banned(self, first_user_id: int, last_user_id: int) -> set[int]: ...

    def own_settings(self, level_id: int) -> OwnSettings | None: ...

    def last_action_id(self) -> int: ...


class Audit:
    """A look at all boards; `options` are of [levels]."""

    def __init__(self, rows: AuditRows, options: LevelOptions, tick: Tick) -> None:
        self._rows = rows
        self._options = options
        self._tick = tick
        self._now = int(time.time() * 1_000_000)
        self._plain = merge_settings(options.defaults, None, has_scores=True)
        self._settings: dict[int, LevelSettings | None] = {}
        self._last_action_id = 0
        self._unreadable: set[int] = set()

    def describe(self) -> Iterator[str]:
        """Yields a line for each score that is wrong, and for each level whose settings cannot be read."""
        for level_id, user_id, _, fault in self.find():
            yield f"{name_of_board(level_id, fault.period)}: user {user_id} {fault.said}"
        for level_id in sorted(self._unreadable):
            yield f"level {level_id} has settings that cannot be read"

    def find(self) -> Iterator[UserFault]:
        """Yields what is wrong, by user and level; levels whose settings cannot be read are passed over."""
        after: Key | None = (-1, -1)
        while after:
            with self._rows.snapshot():
                last = self._rows.last_key(after, SLICE)
                found = self._find_between(after, last) if last else []
            yield from found
            after = last

    def _find_between(self, after: Key, last: Key) -> list[UserFault]:
        """Returns what is wrong with those who come behind `after`, up to `last`, in this snapshot."""
        self._forget_settings()
        rows = self._rows.scores(after, last)
        scores = {key: [StoredScore(*row[1:]) for row in group] for key, group in groupby(rows, _key_of_score)}
        banned = self._rows.banned(after[0], last[0])
        found = []
        for key, group in groupby(self._rows.submissions(after, last), _key_of_submission):
            found += self._compare(key, scores.pop(key, []), group, key[0] in banned)
        for key, of_user in scores.items():  # nothing contradicts scores without a submission
            if key[0] in banned:
                found += self._compare(key, of_user, (), True)
        self._tick(len(rows))
        return found

    def _compare(
        self, key: Key, scores: list[StoredScore], submissions: Iterable[StoredSubmission], is_banned: bool
    ) -> list[UserFault]:
        user_id, level_id = key
        settings = self._settings_of(level_id)
        if is_banned:
            found = faults_of_banned(scores)
        elif settings is None:
            found = []
        else:
            present, counted = boards_in(scores, settings), boards_of(submissions, settings)
            if present == counted:
                return []
            oldest = oldest_periods(self._options, settings.zone, self._now)
            own = self._rows.submissions_of(key)
            found = find_board_faults(present, counted, own, settings, oldest)
        return [UserFault(level_id, user_id, self._last_action_id, each) for each in found]

    def _settings_of(self, level_id: int) -> LevelSettings | None:
        """Returns None where they cannot be read."""
        if level_id not in self._settings:
            try:
                own = self._rows.own_settings(level_id)
                settings = self._plain if own is None else merge_settings(self._options.defaults, own, has_scores=False)
            except msgspec.MsgspecError:
                self._unreadable.add(level_id)
                settings = None
            self._settings[level_id] = settings
        return self._settings[level_id]

    def _forget_settings(self) -> None:
        """Lets settings be read again that an operator has changed since the slice before."""
        last_action_id = self._rows.last_action_id()
        if last_action_id != self._last_action_id or len(self._settings) > LEVELS_CACHED:
            self._settings.clear()
        self._last_action_id = last_action_id


def _key_of_score(row: ScoreRow) -> Key:
    return row[2], row[0]


def _key_of_submission(submission: StoredSubmission) -> Key:
    return submission.user_id, submission.level_id
