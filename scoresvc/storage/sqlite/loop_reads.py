"""Reads for an event loop, which refuses those that would hold it up.

A thread makes them instead, see `net/calling.py`. What is below the bounds here takes well under a millisecond on a
board of any size, but for a rank on one of millions, which takes a few tenths.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresvc.limits import COUNT_MAX
from scoresvc.periods import Period, PeriodWish
from scoresvc.scores import Board, LevelPage, PeriodPage, UserScores
from scoresvc.storage.sqlite.boards import Boards
from scoresvc.storage.sqlite.levels import Levels
from scoresvc.storage.store import WouldBlock

ENTRIES_MAX = 100  # of a page
RANKS_MAX = 8  # which have nothing to do with each other
PERIODS_MAX = 20


class LoopBoards:
    """Reads boards, see `BoardStore`. Methods raise WouldBlock."""

    def __init__(self, boards: Boards) -> None:
        self._boards = boards
        self.high_scores = boards.high_scores
        self.standing = boards.standing

    def page(self, level_id: int, period: Period, limit: int, after: str | None, has_meta: bool = False) -> Board:
        _require(limit <= ENTRIES_MAX)
        return self._boards.page(level_id, period, limit, after, has_meta)

    def around(self, level_id: int, period: Period, user_id: int, count: int, has_meta: bool = False) -> Board | None:
        _require(count <= ENTRIES_MAX)
        return self._boards.around(level_id, period, user_id, count, has_meta)

    def of_users(self, level_id: int, period: Period, user_ids: Sequence[int], has_meta: bool = False) -> Board:
        _require(len(user_ids) <= RANKS_MAX)
        return self._boards.of_users(level_id, period, user_ids, has_meta)

    def bests(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> list[tuple[int, int]]:
        _require(self._boards.has_at_most(user_id, RANKS_MAX))
        return self._boards.bests(user_id, wish, limit, after)

    def user_scores(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> UserScores:
        _require(self._boards.has_at_most(user_id, RANKS_MAX))
        return self._boards.user_scores(user_id, wish, limit, after)


class LoopLevels:
    """Reads levels, see `LevelStore`. Methods raise WouldBlock."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self.settings_of = levels.settings_of
        self.find_period = levels.find_period

    def levels(self, limit: int, after: str | None) -> LevelPage:
        raise WouldBlock

    def periods(self, level_id: int, kind: str, limit: int, after: str | None) -> PeriodPage:
        _require(limit <= PERIODS_MAX)
        return self._levels.periods(level_id, kind, limit, after)


def _require(is_short: bool) -> None:
    if not is_short:
        raise WouldBlock
