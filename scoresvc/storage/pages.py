"""Parts of a board, put together of what an engine reads from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scoresvc.limits import UINT31_MAX
from scoresvc.scores import Board, Entry, Position, Standing, Timestamp, percentile
from scoresvc.storage.cursors import Cursors

TOP = Position(UINT31_MAX + 1, 0, 0)  # before all entries


class Snapshot(Protocol):
    """Reads of the same commits, one statement each."""

    def position(self, level_id: int, user_id: int) -> Position | None:
        """Returns None for a user without a score."""

    def positions(self, level_id: int, user_ids: Sequence[int]) -> list[Position]:
        """Returns where those of the users stand that have a score, in the order of the level."""

    def below(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that follow `position`."""

    def above(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that come before `position`, the nearest first."""

    def rank_of(self, level_id: int, score: int) -> int:
        """Returns one plus the number of players of the level with a higher score."""

    def players_of(self, level_id: int) -> int:
        """Returns how many users have a score on the level."""


def read_page(snapshot: Snapshot, cursors: Cursors, level_id: int, limit: int, after: Position) -> Board:
    """Returns at most `limit` entries that follow `after`."""
    positions = snapshot.below(level_id, after, limit + 1)
    return _make_board(snapshot, cursors, level_id, positions[:limit], has_more=len(positions) > limit)


def read_around(snapshot: Snapshot, cursors: Cursors, level_id: int, user_id: int, count: int) -> Board | None:
    """Returns a user and their neighbours, see `BoardStore.around`; None for a user without a score."""
    position = snapshot.position(level_id, user_id)
    if position is None:
        return None
    above = snapshot.above(level_id, position, count - 1)
    below = snapshot.below(level_id, position, count)
    above_count = min(len(above), max((count - 1) // 2, count - 1 - len(below)))
    below_count = min(len(below), count - 1 - above_count)
    positions = [*reversed(above[:above_count]), position, *below[:below_count]]
    return _make_board(snapshot, cursors, level_id, positions, has_more=len(below) > below_count)


def read_users(snapshot: Snapshot, level_id: int, user_ids: Sequence[int]) -> Board:
    """Returns those of the users that have a score, with their ranks on the whole board."""
    positions = snapshot.positions(level_id, user_ids)
    ranks = {score: snapshot.rank_of(level_id, score) for score in {position.score for position in positions}}
    entries = tuple([_entry(ranks[position.score], position) for position in positions])
    return Board(level_id, snapshot.players_of(level_id), entries, None)


def make_standing(level_id: int, position: Position, rank: int, players: int) -> Standing:
    score, reached_at, user_id = position
    return Standing(level_id, user_id, score, rank, players, percentile(rank, players), Timestamp(reached_at))


def _make_board(
    snapshot: Snapshot, cursors: Cursors, level_id: int, positions: Sequence[Position], has_more: bool
) -> Board:
    ranks = _ranks(snapshot, level_id, [position.score for position in positions])
    entries = tuple([_entry(rank, position) for rank, position in zip(ranks, positions, strict=True)])
    cursor = cursors.write(level_id, positions[-1]) if has_more else None
    return Board(level_id, snapshot.players_of(level_id), entries, cursor)


def _entry(rank: int, position: Position) -> Entry:
    return Entry(rank, position.user_id, position.score, Timestamp(position.reached_at))


def _ranks(snapshot: Snapshot, level_id: int, scores: Sequence[int]) -> list[int]:
    """Returns the ranks of neighbours: the first two different scores are looked up, the others follow from them."""
    if not scores:
        return []
    first_count = next((index for index, score in enumerate(scores) if score != scores[0]), len(scores))
    ranks = [snapshot.rank_of(level_id, scores[0])] * first_count
    if first_count < len(scores):
        offset = snapshot.rank_of(level_id, scores[first_count]) - first_count
        for index in range(first_count, len(scores)):
            ranks.append(ranks[-1] if scores[index] == scores[index - 1] else offset + index)
    return ranks
