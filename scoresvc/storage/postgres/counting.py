"""What posts to a level come to, for a database whose statements cannot find it themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from scoresvc.actions import HELD, STANDS
from scoresvc.limits import UINT31_MAX
from scoresvc.storage.postgres.outcomes import Post
from scoresvc.storage.rebuilding import KEEPING, Best

Board = tuple[int, int]  # period, user
Submitted = tuple[int, int, int, int, str | None]  # user, score as it was posted, Unix microseconds, state, meta


class CountedChange(NamedTuple):
    """A score that comes to stand on a board; scores are turned."""

    previous: int | None
    score: int
    reached_at: int  # Unix microseconds


class Counting:
    """Counts `posts` in their order.

    By rows (time of the batch, latest time, turned, keep, hold, day, period, user, hide, stands), see READ.
    """

    def __init__(self, posts: Sequence[Post], rows: Sequence[tuple[Any, ...]]) -> None:
        locked_at, latest_at, self._is_turned, self._keep, self._hold, self.day, *_ = rows[0]
        self._posts = posts
        self._times = list(range(locked_at, locked_at + len(posts)))
        self.is_late = latest_at - len(posts) >= locked_at  # whether there may be scores with a later time
        self._periods = list(dict.fromkeys(row[6] for row in rows))
        self._hides: dict[int, bool | None] = {row[7]: row[8] for row in rows}
        self._before: dict[Board, int] = {(row[6], row[7]): row[9] for row in rows if row[9] is not None}
        self.submissions: list[Submitted] = []
        self.changes: dict[Board, CountedChange] = {}

    def reached(self) -> list[tuple[int, int, int]]:
        """Returns the places of the posts that count, with the periods and the scores that they come to."""
        reached: list[tuple[int, int, int]] = []
        for place, post in enumerate(self._posts):
            if self._counts(post):
                for period in self._periods:
                    score, _ = self._count((period, post.user_id), self._turn(post.score), 0)
                    reached.append((place, period, score if self._keep == "sum" else self._turn(post.score)))
        self.changes.clear()
        return reached

    def come_after(self, latest: Iterable[tuple[int, int]]) -> None:
        """Makes the time of each post, by its place, later than that of the latest one with an equal score."""
        for place, reached_at in latest:
            self._times[place] = max(self._times[place], reached_at + 1 + place)

    def count(self, keeps_history: bool) -> None:
        for post, posted_at in zip(self._posts, self._times, strict=True):
            is_held = self._is_held(post)
            if self._hides[post.user_id] is not False and (keeps_history or is_held):
                state = HELD if is_held else STANDS
                self.submissions.append((post.user_id, post.score, posted_at, state, post.meta))
            if self._counts(post):
                for period in self._periods:
                    self._count((period, post.user_id), self._turn(post.score), posted_at)

    def _counts(self, post: Post) -> bool:
        return self._hides[post.user_id] is None and not self._is_held(post)

    def _is_held(self, post: Post) -> bool:
        return self._hold is not None and self._turn(post.score) >= self._turn(self._hold)

    def _count(self, board: Board, turned: int, posted_at: int) -> Best:
        """Returns what stands on the board then."""
        previous, change = self._before.get(board), self.changes.get(board)
        stands = (change.score, change.reached_at) if change else None
        if stands is None and previous is not None:
            stands = (previous, 0)
        order = "asc" if self._is_turned else "desc"
        kept = (turned, posted_at) if stands is None else KEEPING[self._keep](stands, (turned, posted_at), order)
        if kept != stands:
            self.changes[board] = CountedChange(previous, *kept)
        return kept

    def _turn(self, score: int) -> int:
        return UINT31_MAX - score if self._is_turned else score

    def told(self, level_id: int) -> list[tuple[Any, ...]]:
        """Returns the rows of what is stored and who is banned, see `StoreResult`."""
        stored = [("stored", level_id, *board, change.previous) for board, change in self.changes.items()]
        return stored + [("banned", level_id, 0, user_id, 0) for user_id, hide in self._hides.items() if hide is False]

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
