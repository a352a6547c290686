"""A board as its viewers have it before them, on a page or by events."""

from __future__ import annotations

from msgspec.structs import asdict

from scoresvc.api.boards import find_period, high_scores
from scoresvc.api.etags import tag
from scoresvc.api.formats import write_json
from scoresvc.periods import PeriodWish
from scoresvc.scores import Board, BoardEvent, WatchedBoard
from scoresvc.storage import Store

SHARED_MAX = 100  # entries of a list that all its viewers share
NEIGHBOURS = 5  # entries around a user who is not among those that are shown


def read_view(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish,
    user: int | None,
) -> Board:  # fmt: skip
    """Returns what a list would; a WatchedBoard where it has no entry of `user`, who has a score."""

    def read(level_id: int, limit: int, period: PeriodWish) -> Board:
        return high_scores(store, level_id, limit, after, users, period, meta=False)

    if after is None and users is None and limit <= SHARED_MAX:
        board = store.recent.get(read, level_id, limit, period)
    else:
        board = read(level_id, limit, period)
    shown = {each.user_id for each in board.entries}
    if user is None or user in shown:
        return board
    around = store.boards.around(level_id, find_period(store, level_id, period), user, NEIGHBOURS)
    if around is None:
        return board
    return WatchedBoard(**asdict(board), around=tuple(each for each in around.entries if each.user_id not in shown))


def version_of(view: Board) -> str:
    """Returns the tag of the view in JSON, which is that of the list where it is nothing else."""
    return tag(write_json(view))[1]


def events(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish,
    user: int | None, last_event_id: str,
) -> BoardEvent:  # fmt: skip
    """Returns the event of the board as it is, without the board where the client has it already."""
    view = read_view(store, level_id, limit, after, users, period, user)
    version = version_of(view)
    return BoardEvent(version, None if version == last_event_id else view)
