"""Makes the boards of a user on a level again from the submissions.

Theory of operation: a board is a function of the submissions that stand, see `boards_of`; posts only keep it up to date
at less cost. So whatever changes states of submissions, a ban or the settings of a level calls `adopt` first, by the
settings that held until then, and `make_boards_again` afterwards. A score that no submission is behind, because
[history] keep was off or an older version stored it, would be lost in that: `adopt` makes a submission of it. The other
order, or `adopt` after the change, turns the score that was to go into a submission of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache

from scoresvc.actions import STANDS
from scoresvc.levels import PERIOD_KINDS, LevelOptions, LevelSettings
from scoresvc.limits import UINT31_MAX
from scoresvc.periods import ALL, day_of, first_day, kind_of, number_of, period_of_day
from scoresvc.storage.ledger import Ledger, StoredScore, StoredSubmission, turn

Best = tuple[int, int]  # the turned score that stands on a board, and since when, in Unix microseconds
Boards = dict[int, Best]  # of one user on one level, by period

PERIODS_CACHED = 4096


# What stands on a board


def _best(stands: Best, posted: Best, order: str) -> Best:
    return posted if posted[0] > stands[0] else stands


def _latest(stands: Best, posted: Best, order: str) -> Best:
    return posted


def _sum(stands: Best, posted: Best, order: str) -> Best:
    return turn(min(turn(stands[0], order) + turn(posted[0], order), UINT31_MAX), order), posted[1]


KEEPING: dict[str, Callable[[Best, Best, str], Best]] = {"best": _best, "latest": _latest, "sum": _sum}


def boards_of(submissions: Iterable[StoredSubmission], settings: LevelSettings) -> Boards:
    """Returns what stands on the boards of all time and of the level's periods, of a user's submissions to a level.

    They come in the order in which they were accepted; those that do not stand are passed over.
    """
    keep = KEEPING[settings.keep]
    boards: Boards = {}
    for submission in submissions:
        if submission.state == STANDS:
            posted = (turn(submission.score, settings.order), submission.posted_at)
            for period in periods_of(submission.day, settings.periods):
                boards[period] = keep(boards[period], posted, settings.order) if period in boards else posted
    return boards


@lru_cache(PERIODS_CACHED)
def periods_of(day: int, kinds: tuple[str, ...]) -> tuple[int, ...]:
    """Returns the periods in which a submission counts that was posted on a day."""
    return (ALL, *[period_of_day(kind, day) for kind in kinds]) if day else (ALL,)


def oldest_periods(options: LevelOptions, zone: str, now: int) -> dict[str, int]:
    """Returns the oldest period of each kind that is kept; without a kind of which all are."""
    counts = {"day": options.keep_days, "week": options.keep_weeks, "month": options.keep_months}
    today = day_of(now, zone)
    return {kind: _period_before(kind, today, count - 1) for kind, count in counts.items() if count}


def _period_before(kind: str, today: date, count: int) -> int:
    if kind == "month":
        months = today.year * 12 + today.month - 1 - count
        return months // 12 * 100 + months % 12 + 1
    return number_of(kind, today - timedelta(days=count * (7 if kind == "week" else 1)))


def is_kept(period: int, oldest: Mapping[str, int]) -> bool:
    """Returns whether a period is none of those that [levels] keep_days, keep_weeks and keep_months let go."""
    return period >= oldest.get(kind_of(period), 0)


# Scores without submissions


def adopt(ledger: Ledger, level_id: int, user_id: int, settings: LevelSettings) -> bool:
    """Makes submissions of the user's scores on the level that none is behind, by the settings that they are kept by.

    Returns whether the score of all time was among them.
    """
    kinds = ("all", *settings.periods)
    scores = [score for score in ledger.scores(level_id, user_id) if kind_of(score.period) in kinds]
    scores.sort(key=_shortest_first)
    adopt_scores = _adopt_sums if settings.keep == "sum" else _adopt_posts
    return adopt_scores(ledger, level_id, user_id, scores, settings)


def _shortest_first(score: StoredScore) -> int:
    """A day says most about when a score was posted."""
    return ("day", "week", "month", "all").index(kind_of(score.period))


def _adopt_posts(
    ledger: Ledger, level_id: int, user_id: int, scores: Iterable[StoredScore], settings: LevelSettings
) -> bool:
    known = {(each.score, each.posted_at) for each in ledger.submissions(level_id, user_id)}
    adopted_all = False
    for period, _, score, reached_at in scores:
        posted = turn(score, settings.order)
        if (posted, reached_at) not in known:
            day = day_within(period, reached_at, settings.zone)
            ledger.add_submission(level_id, user_id, posted, reached_at, day)
            known.add((posted, reached_at))
            adopted_all = adopted_all or _is_of_all_time(reached_at, scores)
    return adopted_all


def _is_of_all_time(reached_at: int, scores: Iterable[StoredScore]) -> bool:
    return any(score.period == ALL and score.reached_at == reached_at for score in scores)


def _adopt_sums(
    ledger: Ledger, level_id: int, user_id: int, scores: Iterable[StoredScore], settings: LevelSettings
) -> bool:
    """Adopts what a sum has above its submissions. What is left of all time was posted nobody knows when: day 0."""
    is_of_all_time = False
    for period, _, score, reached_at in scores:
        submissions = ledger.submissions(level_id, user_id)
        counted = boards_of(submissions, settings).get(period)
        lacking = turn(score, settings.order) - (turn(counted[0], settings.order) if counted else 0)
        if lacking > 0 or counted is None:
            first, last = (submissions[0], submissions[-1]) if submissions else (None, None)
            posted_at = first.posted_at - 1 if first and last and reached_at <= last.posted_at else reached_at
            day = 0 if period == ALL else day_within(period, reached_at, settings.zone)
            ledger.add_submission(level_id, user_id, lacking, posted_at, day)
            is_of_all_time = is_of_all_time or period == ALL
    return is_of_all_time


def day_within(period: int, reached_at: int, zone: str) -> int:
    """Returns the day of a time, or the first one of the period where the clock or the zone was another."""
    day = day_of(reached_at, zone)
    if period != ALL and number_of(kind_of(period), day) != period:
        day = first_day(period)
    return number_of("day", day)


# Boards again


def make_boards_again(ledger: Ledger, level_id: int, user_id: int) -> None:
    """Puts and deletes what differs on the user's boards of the level from what the submissions say.

    A user who is banned stands on no board. Periods that were let go do not come back, and scores in periods of a
    kind that the level no longer has stay as they are. What no submission is behind goes: see `adopt`.
    """
    settings = ledger.settings_of(level_id)
    is_banned = ledger.ban_of(user_id) is not None
    kinds = ("all", *PERIOD_KINDS) if is_banned else ("all", *settings.periods)
    present = {score.period: score for score in ledger.scores(level_id, user_id) if kind_of(score.period) in kinds}
    wanted = {} if is_banned else boards_of(ledger.submissions(level_id, user_id), settings)
    oldest = ledger.oldest_periods(level_id)
    for period, (score, reached_at) in wanted.items():
        best = StoredScore(period, user_id, score, reached_at)
        if is_kept(period, oldest) and present.pop(period, None) != best:
            ledger.put_score(level_id, best)
    for period in present:
        ledger.delete_score(level_id, period, user_id)
