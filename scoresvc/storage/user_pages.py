"""Pages of a user's scores, put together of what an engine reads from one snapshot.

A user may have scores on any number of levels, on each of any number of periods. So a page never reads more than
SLICES_MAX slices of levels: one by one, the next level by an index whatever lies between, and then the one score of
each. Which period a client asks for depends on the zone of the level; so of some periods a page may have fewer scores
than were asked for, and still be followed by others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from scoresvc.levels import LevelSettings
from scoresvc.limits import COUNT_MAX
from scoresvc.periods import NUMBERS_OF_KIND, PeriodWish
from scoresvc.scores import LevelScore, Position
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.ledger import turn
from scoresvc.storage.pages import BoardId, View, find_view

SLICES_MAX = 4


class UserSnapshot(Protocol):
    """Reads of the same commits. Scores are turned where less is better, see `ledger.turn`."""

    def levels_of(self, user_id: int, after: int, count: int) -> list[int]:
        """Returns `count` levels at most where the user has a score, by number, from `after` on without it."""

    def scores_of(self, user_id: int, boards: Sequence[BoardId]) -> list[tuple[int, int]]:
        """Returns level and score of those of the boards, each of another level, where the user has one, by level."""


class UserScore(NamedTuple):
    view: View
    score: int  # turned

    @property
    def level_score(self) -> tuple[int, int]:
        return self.view.level_id, turn(self.score, self.view.settings.order)

    def ranked(self, rank: int, players: int) -> LevelScore:
        return LevelScore(*self.level_score, rank, players)


class UserPage(NamedTuple):
    scores: list[UserScore]  # by level
    last: int | None  # the level after which others may follow; None: there are none


def read_user_page(
    snapshot: UserSnapshot, user_id: int, find_views: Callable[[list[int]], list[View]], limit: int, after: int
) -> UserPage:
    """Returns `limit` scores at most on levels after `after`.

    `find_views` returns the boards of those of the levels that have one of the period that is asked for.
    """
    scores: list[UserScore] = []
    for _ in range(SLICES_MAX):
        levels = snapshot.levels_of(user_id, after, COUNT_MAX + 1)
        views = {view.level_id: view for view in find_views(levels)}
        found = snapshot.scores_of(user_id, [view.board for view in views.values()])
        scores += [UserScore(views[level_id], score) for level_id, score in found]
        if len(scores) > limit:
            return UserPage(scores[:limit], scores[limit - 1].view.level_id)
        if len(levels) <= COUNT_MAX:
            return UserPage(scores, None)
        after = levels[-1]
    return UserPage(scores, after)


def find_views(
    levels: Sequence[int], wish: PeriodWish, settings_of: Callable[[int], LevelSettings], now: int
) -> list[View]:
    """Returns the boards of a period, without those of levels that do not keep it."""
    views = [find_view(level_id, wish, settings_of(level_id), now) for level_id in levels]
    return [view for view in views if view]


def read_level(cursors: Cursors, user_id: int, wish: PeriodWish, after: str | None) -> int:
    """Returns the level that a cursor names, -1 where there is none. Raises BadCursor."""
    return -1 if after is None else cursors.read(user_id, after, NUMBERS_OF_KIND[wish.kind][0]).user_id


def write_level(cursors: Cursors, user_id: int, wish: PeriodWish, level_id: int | None) -> str | None:
    return None if level_id is None else cursors.write(user_id, Position(0, 0, level_id), NUMBERS_OF_KIND[wish.kind][0])
