"""What posts to a level come to, for a database whose statements cannot find it themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from scoresvc.actions import HELD, STANDS
from scoresvc.limits import UINT31_MAX
from scoresvc.storage.postgres.outcomes import Post
from scoresvc.storage.rebuilding import KEEPING

Board = tuple[int, int]  # period, user


class Change(NamedTuple):
    """A score that comes to stand on a board; scores are turned."""

    previous: int | None
    score: int
    reached_at: int  # Unix microseconds


class Counting:
    """Counts `posts` in their order, by rows (latest time, turned, keep, hold, day, period, user, hide, stands)."""

    def __init__(self, posts: Sequence[Post], rows: Sequence[tuple[Any, ...]], keeps_history: bool) -> None:
        latest_at, self._is_turned, self._keep, self._hold, self.day, *_ = rows[0]
        self._periods = list(dict.fromkeys(row[5] for row in rows))
        self._hides: dict[int, bool | None] = {row[6]: row[7] for row in rows}
        self._before: dict[Board, int] = {(row[5], row[6]): row[8] for row in rows if row[8] is not None}
        self.banned = [user_id for user_id, hide in self._hides.items() if hide is False]
        self.submissions: list[tuple[int, int, int, int]] = []  # user, score as it was posted, time, state
        self.changes: dict[Board, Change] = {}
        for posted_at, post in enumerate(posts, latest_at - len(posts) + 1):
            if self._hides[post.user_id] is not False:
                self._take(post, posted_at, keeps_history)

    def _take(self, post: Post, posted_at: int, keeps_history: bool) -> None:
        turned = self._turn(post.score)
        is_held = self._hold is not None and turned >= self._turn(self._hold)
        if keeps_history or is_held:
            self.submissions.append((post.user_id, post.score, posted_at, HELD if is_held else STANDS))
        if is_held or self._hides[post.user_id] is not None:
            return
        for period in self._periods:
            self._count((period, post.user_id), turned, posted_at)

    def _count(self, board: Board, turned: int, posted_at: int) -> None:
        previous, change = self._before.get(board), self.changes.get(board)
        stands = (change.score, change.reached_at) if change else None
        if stands is None and previous is not None:
            stands = (previous, 0)
        order = "asc" if self._is_turned else "desc"
        kept = (turned, posted_at) if stands is None else KEEPING[self._keep](stands, (turned, posted_at), order)
        if kept != stands:
            self.changes[board] = Change(previous, *kept)

    def _turn(self, score: int) -> int:
        return UINT31_MAX - score if self._is_turned else score

    def previous(self, level_id: int) -> list[tuple[int, int, int, int]]:
        """Returns level, user, period and score of what stood before."""
        return [(level_id, user_id, period, score) for (period, user_id), score in self._before.items()]

    def entering(self) -> dict[int, int]:
        """Returns how many players are new on the boards, by period."""
        entering: dict[int, int] = {}
        for (period, _), change in self.changes.items():
            if change.previous is None:
                entering[period] = entering.get(period, 0) + 1
        return entering

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """Yields period, score and 1 where a player comes, -1 where one leaves."""
        for (period, _), change in self.changes.items():
            yield period, change.score, 1
            if change.previous is not None:
                yield period, change.previous, -1

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Yields period, user, score and time of what is to be stored."""
        for (period, user_id), change in self.changes.items():
            yield period, user_id, change.score, change.reached_at
