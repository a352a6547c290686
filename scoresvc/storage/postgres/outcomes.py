"""What became of the posts of a batch whose outcome is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from scoresvc.errors import Banned
from scoresvc.periods import ALL, make_period
from scoresvc.scores import PeriodResult, PostResult, Timestamp
from scoresvc.storage.ledger import turn
from scoresvc.storage.rebuilding import KEEPING


class Post(NamedTuple):
    level_id: int
    user_id: int
    score: int
    is_ranked: bool  # whether its outcome is asked for
    meta: str | None = None  # what is stored with the submission


class Stored(NamedTuple):
    """A score that the batch has changed; `previous` is what stood before it, turned."""

    level_id: int
    period: int
    user_id: int
    previous: int | None


class Ranked(NamedTuple):
    """What stands on a board after the batch for a post, or would stand if it counted."""

    place: int  # of the post among those whose outcome is asked for, from 1
    is_turned: bool
    keep: str
    hold: int | None
    zone: str
    is_held: bool
    hide: bool | None  # of the user's ban
    period: int
    stands: int | None  # turned, as `best`
    best: int
    rank: int
    players: int

    @property
    def order(self) -> str:
        return "asc" if self.is_turned else "desc"

    @property
    def counts(self) -> bool:
        return not self.is_held and self.hide is None


class BoardChange(NamedTuple):
    """What a post changed on a board, as PostResult and PeriodResult have it."""

    improved: bool
    best: int
    previous: int | None
    rank: int
    players: int


class Told(NamedTuple):
    """The outcome of a post."""

    of_all_time: PostResult
    is_held: bool

    def result(self, tells_held: bool) -> PostResult:
        return msgspec.structs.replace(self.of_all_time, held=True) if self.is_held and tells_held else self.of_all_time


Outcome = Told | Banned | None

Board = tuple[int, int, int]  # level, user, period


class Outcomes:
    """Tells the outcomes of `posts` in their order: each finds on its boards what the posts before it left there."""

    def __init__(self, posts: Sequence[Post], stored: Iterable[Stored], ranked: Iterable[Ranked]) -> None:
        self._stands: dict[Board, int | None] = {
            (level_id, user_id, period): previous for level_id, period, user_id, previous in stored
        }
        self._rows: list[list[Ranked]] = [[] for _ in posts]
        self._rules: dict[tuple[int, int], list[Ranked]] = {}  # by level and user
        for row in ranked:
            self._rows[row.place - 1].append(row)
        for post, rows in zip(posts, self._rows, strict=True):
            self._rules[post.level_id, post.user_id] = rows
            for row in rows:  # where the batch has changed nothing, the same stood before
                self._stands.setdefault((post.level_id, post.user_id, row.period), row.stands)
        self._told = 0

    def of(self, post: Post) -> Told | None:
        """To be called for all posts of the batch, also for those whose outcome nobody asks for."""
        if not self._rules:
            return None
        if not post.is_ranked:
            for row in self._rules.get((post.level_id, post.user_id), ()):
                self._count(post, row)
            return None
        rows = self._rows[self._told]
        self._told += 1
        of_all_time, *of_periods = sorted(rows, key=_all_time_first)
        result = self._change(post, of_all_time)
        periods = tuple([self._of_period(post, row) for row in of_periods])
        return Told(PostResult(*result, periods or msgspec.UNSET), of_all_time.is_held)

    def _of_period(self, post: Post, row: Ranked) -> PeriodResult:
        period = make_period(row.period, row.zone, 0)
        return PeriodResult(period.name, *self._change(post, row), period.ends_at or Timestamp(0))

    def _change(self, post: Post, row: Ranked) -> BoardChange:
        previous = self._count(post, row) if row.counts else row.stands
        reached = _keep(row, previous, turn(post.score, row.order))
        return BoardChange(
            previous is None or reached > previous,
            turn(row.best, row.order),
            None if previous is None else turn(previous, row.order),
            row.rank,
            row.players,
        )

    def _count(self, post: Post, row: Ranked) -> int | None:
        """Leaves on the board what the post comes to; returns what stood there before."""
        board = post.level_id, post.user_id, row.period
        previous = self._stands[board]
        turned = turn(post.score, row.order)
        is_held = row.hold is not None and turned >= turn(row.hold, row.order)
        if row.hide is None and not is_held:
            self._stands[board] = _keep(row, previous, turned)
        return previous


def _keep(row: Ranked, previous: int | None, turned: int) -> int:
    return turned if previous is None else KEEPING[row.keep]((previous, 0), (turned, 0), row.order)[0]


def _all_time_first(row: Ranked) -> int:
    """Days come before weeks and months, as in PERIOD_KINDS."""
    return -row.period if row.period != ALL else -(10**9)
