"""Parts of a board, put together of what an engine reads from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from scoresvc.errors import BadPeriod, NoSuchPeriod
from scoresvc.levels import LevelSettings, format_score
from scoresvc.limits import UINT31_MAX
from scoresvc.periods import ALL, Period, PeriodWish, find_period
from scoresvc.scores import Board, Entry, Position, Standing, Timestamp, percentile
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.ledger import turn

TOP = Position(UINT31_MAX + 1, 0, 0)  # before all entries


class BoardId(NamedTuple):
    level_id: int
    period: int


class View(NamedTuple):
    """A board, and how its scores are shown."""

    level_id: int
    period: Period
    settings: LevelSettings

    @property
    def board(self) -> BoardId:
        return BoardId(self.level_id, self.period.number)

    def fields(self) -> dict[str, Any]:
        return fields_of(self.period)


def find_view(level_id: int, wish: PeriodWish, settings: LevelSettings, now: int) -> View | None:
    """Returns None for a level that does not keep periods of this kind, or where the period has not begun."""
    try:
        return View(level_id, find_period(wish, settings, now), settings)
    except (NoSuchPeriod, BadPeriod):
        return None


def fields_of(period: Period) -> dict[str, Any]:
    """Returns the fields of an answer that say which period it is of."""
    if period.number == ALL:
        return {}
    return {
        "period": period.name,
        "starts_at": period.starts_at,
        "ends_at": period.ends_at,
        "closed": period.closed,
    }


class Snapshot(Protocol):
    """Reads of the same commits, one statement each. Scores are turned where less is better, see `ledger.turn`."""

    def position(self, board: BoardId, user_id: int) -> Position | None:
        """Returns None for a user without a score."""

    def ranked(self, board: BoardId, user_ids: Sequence[int]) -> list[tuple[int, Position]]:
        """Returns where those of the users stand that have a score, each with the rank, in the order of the board."""

    def below(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that follow `position`."""

    def above(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that come before `position`, the nearest first."""

    def metas(self, level_id: int, entries: Sequence[Entry]) -> dict[int, str]:
        """Returns by user what was sent with the submissions that stand there, where there was something."""

    def rank_of(self, board: BoardId, score: int) -> int:
        """Returns one plus the number of players of the board with a higher score."""

    def players_of(self, board: BoardId) -> int:
        """Returns how many users have a score on the board."""


def read_page(snapshot: Snapshot, cursors: Cursors, view: View, limit: int, after: Position) -> Board:
    """Returns at most `limit` entries that follow `after`."""
    positions = snapshot.below(view.board, after, limit + 1)
    return _make_board(snapshot, cursors, view, positions[:limit], has_more=len(positions) > limit)


def read_around(snapshot: Snapshot, cursors: Cursors, view: View, user_id: int, count: int) -> Board | None:
    """Returns a user and their neighbours, see `BoardStore.around`; None for a user without a score."""
    position = snapshot.position(view.board, user_id)
    if position is None:
        return None
    above = snapshot.above(view.board, position, count - 1)
    below = snapshot.below(view.board, position, count)
    above_count = min(len(above), max((count - 1) // 2, count - 1 - len(below)))
    below_count = min(len(below), count - 1 - above_count)
    positions = [*reversed(above[:above_count]), position, *below[:below_count]]
    return _make_board(snapshot, cursors, view, positions, has_more=len(below) > below_count)


def read_users(snapshot: Snapshot, view: View, user_ids: Sequence[int]) -> Board:
    """Returns those of the users that have a score, with their ranks on the whole board."""
    board = view.board
    entries = [make_entry(rank, position, view.settings) for rank, position in snapshot.ranked(board, user_ids)]
    return Board(view.level_id, snapshot.players_of(board), tuple(entries), None, **view.fields())


def with_meta(snapshot: Snapshot, board: Board) -> Board:
    """Returns the same board whose entries have what was sent with their submissions."""
    metas = snapshot.metas(board.level_id, board.entries)
    replace = msgspec.structs.replace
    return replace(board, entries=tuple([replace(each, meta=metas.get(each.user_id)) for each in board.entries]))


def make_standing(view: View, position: Position, rank: int, players: int) -> Standing:
    return Standing(
        view.level_id,
        position.user_id,
        turn(position.score, view.settings.order),
        rank,
        players,
        percentile(rank, players),
        Timestamp(position.reached_at),
        **view.fields(),
    )


def make_entry(rank: int, position: Position, settings: LevelSettings) -> Entry:
    score = turn(position.score, settings.order)
    text = format_score(score, settings) if settings.has_format else msgspec.UNSET
    return Entry(rank, position.user_id, score, Timestamp(position.reached_at), position.name, text=text)


def _make_board(
    snapshot: Snapshot, cursors: Cursors, view: View, positions: Sequence[Position], has_more: bool
) -> Board:
    board = view.board
    ranks = _ranks(snapshot, board, [position.score for position in positions])
    entries = [make_entry(rank, position, view.settings) for rank, position in zip(ranks, positions, strict=True)]
    cursor = cursors.write(board.level_id, positions[-1], board.period) if has_more else None
    return Board(board.level_id, snapshot.players_of(board), tuple(entries), cursor, **view.fields())


def _ranks(snapshot: Snapshot, board: BoardId, scores: Sequence[int]) -> list[int]:
    """Returns the ranks of neighbours: the first two different scores are looked up, the others follow from them."""
    if not scores:
        return []
    first_count = next((index for index, score in enumerate(scores) if score != scores[0]), len(scores))
    ranks = [snapshot.rank_of(board, scores[0])] * first_count
    if first_count < len(scores):
        offset = snapshot.rank_of(board, scores[first_count]) - first_count
        for index in range(first_count, len(scores)):
            ranks.append(ranks[-1] if scores[index] == scores[index - 1] else offset + index)
    return ranks
