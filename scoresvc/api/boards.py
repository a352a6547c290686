"""The calls that read boards."""

from __future__ import annotations

from scoresvc.errors import NoScore
from scoresvc.limits import COUNT_DEFAULT
from scoresvc.scores import Board, Standing, UserScores
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def high_scores(store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None) -> Board:
    if users is not None:
        return store.boards.of_users(level_id, users)
    return store.boards.page(level_id, limit, after)


def high_scores_as_text(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None
) -> Board | str | Write[str]:
    """As `high_scores`; the list that games read most comes as text, without ranks."""
    if (limit, after, users) == (COUNT_DEFAULT, None, None):
        return store.boards.high_scores(level_id)
    return high_scores(store, level_id, limit, after, users)


def around(store: Store, level_id: int, user_id: int, count: int) -> Board:
    board = store.boards.around(level_id, user_id, count)
    if board is None:
        raise NoScore
    return board


def rank(store: Store, level_id: int, user_id: int) -> Standing:
    standing = store.boards.standing(level_id, user_id)
    if standing is None:
        raise NoScore
    return standing


def user_scores(store: Store, user_id: int) -> UserScores:
    return store.boards.user_scores(user_id)


def bests(store: Store, user_id: int) -> list[tuple[int, int]]:
    return store.boards.bests(user_id)
