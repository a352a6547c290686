"""What the statements that store posts gave back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from scoresvc.errors import Banned
from scoresvc.storage.postgres.outcomes import Outcome, Outcomes, Post, Ranked, Stored
from scoresvc.storage.postgres.ranks import Band, divide
from scoresvc.storage.postgres.transactions import Begin


class Rows(Protocol):
    """A cursor, or what was fetched of one."""

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class FetchedRows(NamedTuple):
    """Rows that are there already; see `Rows`."""

    rows: list[tuple[Any, ...]]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows


class StoreResult:
    """What the statements of a batch gave back, to be read once it is committed."""

    def __init__(self, stored: Sequence[Rows], ranks: Rows | None) -> None:
        """Of rows (kind, level, period, …): 'stored' as Stored, 'banned' with the user, 'full' as Band.

        And of rows as Ranked for the posts whose outcome is asked for.
        """
        self._stored = stored
        self._ranks = ranks
        self._full: list[Band] = []

    def outcomes(self, posts: Sequence[Post]) -> list[Outcome]:
        """Returns what became of each post, with what stands and the rank as they are at the end of the batch."""
        banned: set[tuple[int, int]] = set()  # level, user
        stored: list[Stored] = []
        for kind, level_id, period, *fields in [row for each in self._stored for row in each.fetchall()]:
            if kind == "stored":
                stored.append(Stored(level_id, period, *fields))
            elif kind == "banned":
                banned.add((level_id, fields[0]))
            else:
                self._full.append(Band(level_id, period, *fields))
        ranked = [Ranked._make(row) for row in self._ranks.fetchall()] if self._ranks else []
        outcomes = Outcomes([post for post in posts if post.is_ranked], stored, ranked)
        told = [(post, outcomes.of(post)) for post in posts]
        return [Banned() if (post.level_id, post.user_id) in banned else outcome for post, outcome in told]

    def divide_full(self, begin: Begin) -> None:
        """Divides the bands that these posts have filled, and the boards, which are rows without a width."""
        for band in self._full:
            divide(begin, band)
