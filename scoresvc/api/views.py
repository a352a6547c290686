"""A board as its viewers have it before them, on a page or by events."""

from __future__ import annotations

from scoresvc.api.boards import find_period, high_scores
from scoresvc.api.etags import tag
from scoresvc.api.formats import write_json
from scoresvc.periods import PeriodWish
from scoresvc.scores import Board, BoardEvent, BoardView
from scoresvc.storage import Store

SHARED_MAX = 100  # entries of a list that all its viewers share
NEIGHBOURS = 5  # entries around a user who is not among those that are shown


def read_view(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish,
    user: int | None,
) -> BoardView:  # fmt: skip
    """Returns what a list would, with the neighbours of `user` where the list has no entry of theirs."""

    def read(level_id: int, limit: int, period: PeriodWish) -> Board:
        return high_scores(store, level_id, limit, after, users, period, meta=False)

    if after is None and users is None and limit <= SHARED_MAX:
        board = store.recent.get(read, level_id, limit, period)
    else:
        board = read(level_id, limit, period)
    if user is None or any(each.user_id == user for each in board.entries):
        return BoardView(board, None)
    return BoardView(board, store.boards.around(level_id, find_period(store, level_id, period), user, NEIGHBOURS))


def version_of(view: BoardView) -> str:
    """Returns the tag of what the view shows; without neighbours that of the list in JSON."""
    text = write_json(view.board)
    return tag(text if view.around is None else text + write_json(view.around))[1]


def events(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish,
    user: int | None, last_event_id: str,
) -> BoardEvent:  # fmt: skip
    """Returns the event of the board as it is, without the board where the client has it already."""
    view = read_view(store, level_id, limit, after, users, period, user)
    version = version_of(view)
    return BoardEvent(version, None if version == last_event_id else view.board)
