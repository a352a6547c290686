"""The calls that read boards."""

from __future__ import annotations

from collections.abc import Sequence

from scoresvc.errors import NoScore
from scoresvc.limits import COUNT_DEFAULT
from scoresvc.periods import ALL_TIME, WISH_ALL, Period, PeriodWish
from scoresvc.scores import Board, Standing, UserScores
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def high_scores(
    store: Store, level_id: int, limit: int, after: str | None, users: Sequence[int] | None, period: PeriodWish,
    meta: bool,
) -> Board:  # fmt: skip
    found = find_period(store, level_id, period)
    if users is not None:
        return store.boards.of_users(level_id, found, users, meta)
    return store.boards.page(level_id, found, limit, after, meta)


def high_scores_as_text(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish, meta: bool
) -> Board | str | Write[str]:
    """As `high_scores`; the list that games read most comes as text, without ranks."""
    if (limit, after, users, period) == (COUNT_DEFAULT, None, None, WISH_ALL):
        return store.boards.high_scores(level_id)
    return high_scores(store, level_id, limit, after, users, period, meta=False)


def around(store: Store, level_id: int, user_id: int, count: int, period: PeriodWish, meta: bool) -> Board:
    board = store.boards.around(level_id, find_period(store, level_id, period), user_id, count, meta)
    if board is None:
        raise NoScore
    return board


def rank(store: Store, level_id: int, user_id: int, period: PeriodWish) -> Standing:
    standing = store.boards.standing(level_id, find_period(store, level_id, period), user_id)
    if standing is None:
        raise NoScore
    return standing


def user_scores(store: Store, user_id: int, limit: int, after: str | None, period: PeriodWish) -> UserScores:
    return store.boards.user_scores(user_id, period, limit, after)


def bests(store: Store, user_id: int, limit: int, after: str | None, period: PeriodWish) -> list[tuple[int, int]]:
    return store.boards.bests(user_id, period, limit, after)


def find_period(store: Store, level_id: int, wish: PeriodWish) -> Period:
    """All time is the same on every level, whatever its settings."""
    return ALL_TIME if wish == WISH_ALL else store.levels.find_period(level_id, wish)
