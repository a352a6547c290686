"""Finds where the boards of a user on a level are not as the submissions say.

Theory of operation: a board is what `boards_of` makes of the submissions that stand, and who is banned stands on none.
But a score need not have a submission: an older version stored it, or [history] keep was off, and nothing says when
that was. So a score without a submission is believed, as `adopt` would, but for two reasons:

- A submission of the user has the very time of the score. Then history was kept at that moment, and the score should be
  that submission: it was edited, or its submission is held, removed or of another period.
- A submission that stands would stand in its place, whoever came first: a better one, or an equal one that is earlier;
  where the latest is kept, a later one.

Of a sum any part may be without submissions. So it is wrong only where it is below that of the submissions, where its
time is before that of the last of them, or where its time is that of a submission that does not stand.

What is not compared, because nothing keeps it up to date: periods that [levels] keep_days, keep_weeks and keep_months
let go, and those of a kind that the level no longer has. Where a kind is switched on in [levels] rather than for a
level, nobody fills its boards from the submissions, so those before are found to be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from scoresvc.actions import STANDS, STATES
from scoresvc.levels import LevelSettings
from scoresvc.periods import kind_of
from scoresvc.storage.ledger import StoredScore, StoredSubmission, turn
from scoresvc.storage.rebuilding import Best, Boards, is_kept

Said = str | None


class BoardFault(NamedTuple):
    """A score that is not as the submissions say; `wanted` is what should stand there, None for nothing."""

    period: int
    said: str
    stands: Best | None
    wanted: Best | None


def boards_in(scores: Iterable[StoredScore], settings: LevelSettings) -> Boards:
    """Returns what stands on the boards that the level has."""
    kinds = ("all", *settings.periods)
    return {score.period: (score.score, score.reached_at) for score in scores if kind_of(score.period) in kinds}


def faults_of_banned(scores: Iterable[StoredScore]) -> list[BoardFault]:
    """Returns a fault for each score of a user who is banned."""
    said = "is banned, but stands there"
    return [BoardFault(score.period, said, (score.score, score.reached_at), None) for score in scores]


def find_board_faults(
    present: Boards,
    counted: Boards,
    submissions: Sequence[StoredSubmission],
    settings: LevelSettings,
    oldest: Mapping[str, int],
) -> list[BoardFault]:
    """Compares the boards of a user with `counted`, those that `boards_of` makes of `submissions`."""
    faults = []
    for period in sorted(present.keys() | counted.keys()):
        stands, wanted = present.get(period), counted.get(period)
        if stands == wanted or not is_kept(period, oldest):
            continue
        if stands is None:
            said: Said = "has a submission that stands, but no score"
        else:
            behind = [each for each in submissions if each.posted_at == stands[1]]
            said = JUDGING[settings.keep](stands, wanted, behind, settings.order)
        if stands and wanted and settings.keep == "sum" and said == LATER:
            wanted = stands[0], wanted[1]
        if said:
            faults.append(BoardFault(period, said, stands, wanted))
    return faults


def _judge_best(stands: Best, wanted: Best | None, behind: list[StoredSubmission], order: str) -> Said:
    if behind:
        return _judge_behind(stands, behind, order)
    if wanted and wanted[0] > stands[0]:
        return "has a better submission than the score"
    return "reached the score earlier" if wanted and wanted[0] == stands[0] and wanted[1] < stands[1] else None


def _judge_latest(stands: Best, wanted: Best | None, behind: list[StoredSubmission], order: str) -> Said:
    if behind:
        return _judge_behind(stands, behind, order)
    return LATER if wanted and wanted[1] > stands[1] else None


def _judge_sum(stands: Best, wanted: Best | None, behind: list[StoredSubmission], order: str) -> Said:
    if wanted and turn(wanted[0], order) > turn(stands[0], order):
        return "has submissions with a higher sum than the score"
    if behind and not any(each.state == STANDS for each in behind):
        return NOT_STANDING.format(STATES[behind[0].state])
    if wanted and wanted[1] > stands[1]:
        return LATER
    return None


def _judge_behind(stands: Best, behind: list[StoredSubmission], order: str) -> str:
    """Says why the score is wrong, of whose time there are submissions."""
    same = [each for each in behind if turn(each.score, order) == stands[0]]
    if not same:
        return "has another score than the submission of that time"
    if not any(each.state == STANDS for each in same):
        return NOT_STANDING.format(STATES[same[0].state])
    return "stands there with another submission than it should"


LATER = "has a later submission than the score"
NOT_STANDING = "stands there with a submission that is {}"
JUDGING: dict[str, Callable[[Best, Best | None, list[StoredSubmission], str], Said]] = {
    "best": _judge_best,
    "latest": _judge_latest,
    "sum": _judge_sum,
}
