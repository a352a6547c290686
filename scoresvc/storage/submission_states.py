"""Changes states of submissions, with what follows for the boards."""

from __future__ import annotations

from collections.abc import Iterable

from scoresvc.actions import (
    HELD,
    REMOVED,
    STANDS,
    STATES,
    ActionRecord,
    ApproveSubmission,
    ClearLevel,
    RemoveScore,
    RemoveSubmission,
    RestoreSubmission,
)
from scoresvc.errors import NoScore, NoSuchSubmission, NotUndoable, Superseded
from scoresvc.levels import LevelSettings
from scoresvc.periods import kind_of
from scoresvc.storage.ledger import Done, Ledger, StoredScore, StoredSubmission, turn
from scoresvc.storage.rebuilding import adopt, make_boards_again, periods_of


def remove_score(ledger: Ledger, action: RemoveScore, action_id: int) -> Done | None:
    """Where submissions are summed, all of them stand there."""
    level_id, user_id, period = action.level_id, action.user_id, action.period
    ledger.lock_level(level_id)
    settings = ledger.settings_of(level_id)
    stands = next((score for score in ledger.scores(level_id, user_id) if score.period == period), None)
    if stands is None or kind_of(period) not in ("all", *settings.periods):
        raise NoScore
    adopt(ledger, level_id, user_id, settings)
    submissions = [
        submission
        for submission in ledger.submissions(level_id, user_id)
        if submission.state == STANDS and period in periods_of(submission.day, settings.periods)
    ]
    if settings.keep != "sum":
        submissions = _behind(stands, submissions, settings)
    _set_states(ledger, submissions, REMOVED, action_id)
    before = {"score": sum(submission.score for submission in submissions), "period": period}
    submission_id = submissions[0].submission_id if len(submissions) == 1 else None
    return Done(before, {"submissions": len(submissions)}, level_id, user_id, submission_id)


def _behind(
    stands: StoredScore, submissions: Iterable[StoredSubmission], settings: LevelSettings
) -> list[StoredSubmission]:
    """Returns the submission that a score is, in a list: of equal ones the first, where the latest is kept the last."""
    key = (turn(stands.score, settings.order), stands.reached_at)
    same = [submission for submission in submissions if (submission.score, submission.posted_at) == key]
    return same[-1:] if settings.keep == "latest" else same[:1]


def remove_submission(ledger: Ledger, action: RemoveSubmission, action_id: int) -> Done | None:
    return _set_state(ledger, action.submission_id, (STANDS, HELD), REMOVED, action_id)


def restore_submission(ledger: Ledger, action: RestoreSubmission, action_id: int) -> Done | None:
    return _set_state(ledger, action.submission_id, (REMOVED,), STANDS, action_id)


def approve_submission(ledger: Ledger, action: ApproveSubmission, action_id: int) -> Done | None:
    return _set_state(ledger, action.submission_id, (HELD,), STANDS, action_id)


def _set_state(ledger: Ledger, submission_id: int, states: tuple[int, ...], state: int, action_id: int) -> Done | None:
    """Sets the state of a submission that is in one of `states`."""
    submission = ledger.submission(submission_id)
    if submission is None:
        raise NoSuchSubmission
    _, level_id, user_id, *_ = submission
    ledger.lock_level(level_id)
    submission = ledger.submission(submission_id)  # as it is now that nobody else changes it
    if submission is None or submission.state not in states:
        return None
    adopt(ledger, level_id, user_id, ledger.settings_of(level_id))
    _set_states(ledger, [submission], state, action_id)
    before = {"state": STATES[submission.state], "score": submission.score}
    return Done(before, {"state": STATES[state], "submissions": 1}, level_id, user_id, submission_id)


def _set_states(ledger: Ledger, submissions: Iterable[StoredSubmission], state: int | None, action_id: int) -> None:
    """Sets the state, or where it is None the one before; `adopt` has been called."""
    boards = set()
    for submission in submissions:
        new = submission.state_before if state is None else state
        ledger.set_state(submission, new if new is not None else STANDS, action_id)
        boards.add((submission.level_id, submission.user_id))
    for level_id, user_id in sorted(boards):
        make_boards_again(ledger, level_id, user_id)


def clear_level(ledger: Ledger, action: ClearLevel, action_id: int) -> Done | None:
    level_id = action.level_id
    ledger.lock_level(level_id)
    settings = ledger.settings_of(level_id)
    count = 0
    for user_id in list(ledger.users_of(level_id)):
        adopt(ledger, level_id, user_id, settings)
        present = [each for each in ledger.submissions(level_id, user_id) if each.state != REMOVED]
        _set_states(ledger, present, REMOVED, action_id)
        count += len(present)
    return Done({}, {"submissions": count}, level_id) if count else None


def undo_states(ledger: Ledger, record: ActionRecord, action_id: int) -> Done:
    for level_id in sorted({submission.level_id for submission in ledger.changed_by(record.id)}):
        ledger.lock_level(level_id)
    submissions = ledger.changed_by(record.id)
    count = record.after["submissions"]
    if not count:  # they were erased, or purged
        raise NotUndoable
    if len(submissions) != count:
        raise Superseded
    for level_id, user_id in sorted({(each.level_id, each.user_id) for each in submissions}):
        adopt(ledger, level_id, user_id, ledger.settings_of(level_id))
    _set_states(ledger, submissions, None, action_id)
    return Done({}, {"submissions": count})
