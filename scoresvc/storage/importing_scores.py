"""Stores scores that are imported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from scoresvc.actions import REMOVED, STANDS, STATES, RemoveSubmission, RestoreSubmission
from scoresvc.errors import NameTaken
from scoresvc.levels import LevelSettings
from scoresvc.lookalikes import fold
from scoresvc.periods import kind_of
from scoresvc.rows import Outcome, ScoreRow
from scoresvc.storage.importing_submissions import better, lock_levels
from scoresvc.storage.ledger import StoredSubmission, turn
from scoresvc.storage.moderation import perform
from scoresvc.storage.rebuilding import Best, adopt, day_within, is_kept, periods_of
from scoresvc.storage.transfer_ledger import BoardKey, TransferLedger
from scoresvc.storage.users import StoredUser, draw_candidates

ACTOR = "import"  # in the audit log
FUTURE_MAX = 60_000_000  # microseconds: clocks differ


class RowRefused(Exception):
    """The message says why a row is not stored."""


def import_scores(ledger: TransferLedger, rows: Sequence[ScoreRow], mode: str) -> list[Outcome]:
    """Mode "replace" removes submissions that would stand above what a row says, which the audit log has."""
    numbered = [row if row.external is None else row._replace(user_id=_find_user(ledger, row)) for row in rows]
    return ScoreImport(ledger, numbered, mode).run()


def _find_user(ledger: TransferLedger, row: ScoreRow) -> int:
    """Returns the user who is known by the text of another service; a new one gets a number."""
    assert row.external is not None
    known = ledger.user_of(row.external)
    if known is not None:
        return known
    user_id = next(filter(ledger.is_free, draw_candidates()))
    ledger.put_user(StoredUser(user_id, external=row.external))
    return user_id


class ScoreImport:
    def __init__(self, ledger: TransferLedger, rows: Sequence[ScoreRow], mode: str) -> None:
        self._ledger = ledger
        self._rows = rows
        self._replaces = mode == "replace"
        self._settings = lock_levels(ledger, {row.level_id for row in rows})
        self._banned = ledger.banned_among({row.user_id for row in rows})
        self._present = ledger.scores_at({_board(row) for row in rows})
        self._behind: dict[tuple[int, int, int], list[StoredSubmission]] = defaultdict(list)
        times = {(row.level_id, row.user_id, row.reached_at) for row in rows if row.reached_at is not None}
        for submission in ledger.submissions_at(times):
            self._behind[submission.level_id, submission.user_id, submission.posted_at].append(submission)
        self._changes: dict[BoardKey, Best] = {}
        self._names: dict[int, StoredUser] = {}
        self._with_meta: list[ScoreRow] = []

    def run(self) -> list[Outcome]:
        outcomes = []
        for row in self._rows:
            user_id = None if row.external is None else row.user_id
            try:
                outcomes.append(Outcome(self._take(row), user_id=user_id))
            except RowRefused as refused:
                outcomes.append(Outcome(reason=str(refused), user_id=user_id))
        self._ledger.put_scores(self._changes)
        for user in self._names.values():
            self._ledger.put_user(user)
        for row in self._with_meta:
            self._add_submission(row)
        return outcomes

    def _take(self, row: ScoreRow) -> bool:
        """Returns whether the row changes anything. Raises RowRefused."""
        if row.user_id in self._banned:
            raise RowRefused(f"user {row.user_id} is banned")
        if row.reached_at is not None and row.reached_at > self._ledger.now + FUTURE_MAX:
            raise RowRefused("reached_at is in the future")
        is_named = self._take_name(row)
        settings, key = self._settings[row.level_id], _board(row)
        stands = self._ledger.scores_at([key]).get(key) if self._replaces else self._present.get(key)
        best = self._find_best(row, stands, settings)
        if best == stands:
            return is_named
        self._check_submission(row, settings)
        if self._replaces:
            self._make_room(row, best, settings)
            self._ledger.put_scores({key: best})
        else:
            self._present[key] = self._changes[key] = best
        if row.meta is not None and settings.keep != "sum" and not self._find_behind(row):
            self._with_meta.append(row._replace(reached_at=best[1]))
        return True

    def _find_best(self, row: ScoreRow, stands: Best | None, settings: LevelSettings) -> Best:
        """Returns what is to stand on the board. A score of which nobody knows when it was reached came first."""
        score = turn(row.score, settings.order)
        if row.reached_at is not None:
            best = score, row.reached_at
            return best if stands is None or self._replaces else better(stands, best, settings)
        if stands is None or (self._replaces and stands[0] != score):
            return score, self._ledger.now
        if settings.keep == "latest" or stands[0] == score:
            return stands
        merged, _ = better(stands, (score, self._ledger.now), settings)
        return stands if merged == stands[0] else (merged, self._ledger.now)

    def _take_name(self, row: ScoreRow) -> bool:
        if row.name is None:
            return False
        user = self._names.get(row.user_id) or self._ledger.user(row.user_id)
        if user.name == row.name or (user.name is not None and not self._replaces):
            return False
        folded = fold(row.name)
        if self._ledger.names_are_unique and folded != user.folded_name:
            taken = any(each.folded_name == folded for each in self._names.values())
            if taken or self._ledger.is_name_taken(folded, row.user_id):
                raise RowRefused(str(NameTaken()))
        self._names[row.user_id] = user._replace(name=row.name, folded_name=folded)
        return True

    def _find_behind(self, row: ScoreRow) -> list[StoredSubmission]:
        """Returns the submissions that have the time of the row."""
        return [] if row.reached_at is None else self._behind[row.level_id, row.user_id, row.reached_at]

    def _check_submission(self, row: ScoreRow, settings: LevelSettings) -> None:
        """Raises RowRefused where the row contradicts the submission of its time."""
        behind = self._find_behind(row)
        if not behind or kind_of(row.period) not in ("all", *settings.periods):
            return
        same = [each for each in behind if each.score == row.score or settings.keep == "sum"]
        if not same:
            raise RowRefused("the history has another score of that user and time")
        if any(each.state == STANDS for each in same):
            return
        if not self._replaces or same[0].state != REMOVED:
            raise RowRefused(f"the history has it as {STATES[same[0].state]}")
        perform(self._ledger, ACTOR, RestoreSubmission(same[0].submission_id), self._ledger.now)

    def _make_room(self, row: ScoreRow, best: Best, settings: LevelSettings) -> None:
        """Removes the submissions that would stand above the row."""
        if not self._ledger.submissions(row.level_id, row.user_id):
            return
        if settings.keep == "sum":
            raise RowRefused("the level keeps the sum of submissions, which a score cannot replace")
        adopt(self._ledger, row.level_id, row.user_id, settings)
        for each in self._ledger.submissions(row.level_id, row.user_id):
            posted = (turn(each.score, settings.order), each.posted_at)
            counts = each.state == STANDS and row.period in periods_of(each.day, settings.periods)
            if counts and posted != best and better(best, posted, settings) == posted:
                perform(self._ledger, ACTOR, RemoveSubmission(each.submission_id), self._ledger.now)

    def _add_submission(self, row: ScoreRow) -> None:
        """Keeps what was sent with a score, as if it had been posted at that time."""
        assert row.reached_at is not None
        settings = self._settings[row.level_id]
        day = day_within(row.period, row.reached_at, settings.zone)
        self._ledger.add_submission(row.level_id, row.user_id, row.score, row.reached_at, day, row.meta)
        best = (turn(row.score, settings.order), row.reached_at)
        oldest = self._ledger.oldest_periods(row.level_id)
        keys = [(row.level_id, period, row.user_id) for period in periods_of(day, settings.periods)]
        present = self._ledger.scores_at(keys)
        kept = {key: better(present.get(key, best), best, settings) for key in keys if is_kept(key[1], oldest)}
        self._ledger.put_scores({key: best for key, best in kept.items() if present.get(key) != best})


def _board(row: ScoreRow) -> BoardKey:
    return row.level_id, row.period, row.user_id
