"""Stores submissions that are imported, and makes the boards of their users right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scoresvc.actions import STANDS
from scoresvc.levels import LevelSettings
from scoresvc.rows import Outcome, SubmissionRow
from scoresvc.storage.ledger import StoredSubmission, turn
from scoresvc.storage.rebuilding import Best, Boards, boards_of, is_kept
from scoresvc.storage.transfer_ledger import BoardKey, TransferLedger, UserOnLevel


def import_submissions(ledger: TransferLedger, rows: Sequence[SubmissionRow]) -> list[Outcome]:
    """Adds those whose numbers nobody has; a number that another submission has is refused."""
    settings = lock_levels(ledger, {row.level_id for row in rows})
    known = ledger.submission_rows([row.submission_id for row in rows])
    outcomes, new = [], []
    for row in rows:
        if row.submission_id not in known:
            known[row.submission_id] = row
            new.append(row)
            outcomes.append(Outcome(True))
        elif known[row.submission_id] == row:
            outcomes.append(Outcome())
        else:
            outcomes.append(Outcome(reason=f"there is another submission {row.submission_id}"))
    ledger.insert_submissions(new)
    _update_boards(ledger, {(row.level_id, row.user_id) for row in new}, settings)
    return outcomes


def lock_levels(ledger: TransferLedger, level_ids: set[int]) -> dict[int, LevelSettings]:
    """Returns the settings of levels, of which none changes until the transaction ends.

    By the order and the keep of a new level its scores are ranked for ever: they are set for it, as a post does.
    """
    ledger.lock_levels(level_ids)
    built_in = LevelSettings()
    own = {name: getattr(ledger.defaults, name) for name in ("order", "keep")}
    pinned = {name: value for name, value in own.items() if value != getattr(built_in, name)}
    if pinned:
        for level_id in level_ids:
            if ledger.own_settings(level_id) is None and not ledger.has_scores(level_id):
                ledger.put_settings(level_id, pinned)
    return {level_id: ledger.settings_of(level_id) for level_id in level_ids}


def _update_boards(ledger: TransferLedger, users: set[UserOnLevel], settings: Mapping[int, LevelSettings]) -> None:
    """Puts on the boards what the submissions of users say, unless a score without submission is better."""
    banned = ledger.banned_among({user_id for _, user_id in users})
    users = {each for each in users if each[1] not in banned}
    submissions = _by_user(ledger.submissions_of(users))
    present: dict[UserOnLevel, Boards] = defaultdict(dict)
    for (level_id, period, user_id), best in ledger.scores_of(users).items():
        present[level_id, user_id][period] = best
    oldest = {level_id: ledger.oldest_periods(level_id) for level_id in {level_id for level_id, _ in users}}
    changes: dict[BoardKey, Best] = {}
    for level_id, user_id in sorted(users):
        found, stand = submissions[level_id, user_id], present[level_id, user_id]
        for period, merged in merge_boards(stand, found, settings[level_id]).items():
            if merged is None:
                ledger.delete_score(level_id, period, user_id)
            elif is_kept(period, oldest[level_id]):
                changes[level_id, period, user_id] = merged
    ledger.put_scores(changes)


def _by_user(submissions: Iterable[StoredSubmission]) -> dict[UserOnLevel, list[StoredSubmission]]:
    by_user: dict[UserOnLevel, list[StoredSubmission]] = defaultdict(list)
    for submission in submissions:
        by_user[submission.level_id, submission.user_id].append(submission)
    return by_user


def merge_boards(
    present: Boards, submissions: Sequence[StoredSubmission], settings: LevelSettings
) -> dict[int, Best | None]:
    """Returns what changes on a user's boards of a level, by period; None for a score that is to go.

    A score without a submission stays where it is better than the submissions.
    """
    behind = {(turn(each.score, settings.order), each.posted_at): each.state for each in submissions}
    wanted = boards_of(submissions, settings)
    changes: dict[int, Best | None] = {}
    for period, best in wanted.items():
        stands = present.get(period)
        kept = best if stands is None or stands in behind else better(stands, best, settings)
        if kept != stands:
            changes[period] = kept
    for period, score in present.items():
        if period not in wanted and behind.get(score, STANDS) != STANDS:
            changes[period] = None
    return changes


def better(stands: Best, other: Best, settings: LevelSettings) -> Best:
    """Returns which of two turned scores stands on a board: the later one, or the better and earlier one.

    Of two sums it is the higher one, as it was posted, with the later time.
    """
    if settings.keep == "latest":
        return other if other[1] > stands[1] else stands
    if settings.keep == "sum":
        more = min if settings.order == "asc" else max
        return more(stands[0], other[0]), max(stands[1], other[1])
    return min(stands, other, key=lambda best: (-best[0], best[1]))
