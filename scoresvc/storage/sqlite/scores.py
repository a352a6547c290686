"""Scores: the best of each user on each level."""

from __future__ import annotations

import json
from collections.abc import Callable

from scoresvc.scores import PostResult
from scoresvc.storage.sqlite.boards import read_position
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Lists
from scoresvc.storage.sqlite.ranks import players_of, rank_of
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.write import Write

Post = tuple[int, int, int]  # level, user, score
Outcome = tuple[bool, int, int | None, int, int]  # the fields of PostResult


class Scores:
    """Posts scores with `begin`. Methods raise Unavailable where the database takes no more."""

    def __init__(self, begin: Begin, changes: ScoreChanges) -> None:
        self._begin = begin
        self._post = changes.post
        self._post_and_rank = changes.post_and_rank

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        """Stores `score` where it is the user's best on the level; it is on disk when the write is done."""
        return self._begin(self._post, (level_id, user_id, score), _nothing)

    def post_and_rank(self, level_id: int, user_id: int, score: int) -> Write[PostResult]:
        """As `post`; the result says what the post changed."""
        return self._begin(self._post_and_rank, (level_id, user_id, score), _make_result)


def _nothing(may_have_changed: bool) -> None:
    return None


def _make_result(outcome: Outcome) -> PostResult:
    return PostResult(*outcome)


class ScoreChanges:
    """What the writer does for posts. `clock` returns Unix seconds.

    Who reaches a score later comes later on the board, even where the clock stands still or jumps back: only then is
    a time later than the clock says.
    """

    def __init__(self, lists: Lists, clock: Callable[[], float]) -> None:
        self._lists = lists
        self._clock = clock
        self.post = Change("post", self._store, self._after_posts, is_single_statement=True)
        self.post_and_rank = Change("post_and_rank", self._store_and_rank, self._after_posts_and_ranks)

    def _store(self, connection: sqlite3.Connection, posts: list[Post]) -> list[bool]:
        """Returns for each whether it may have changed the level.

        One statement for all: Python's lock is given up once, not once a post. The statement reads
        before it writes, so `key`, the place in the batch, is what orders equal posts.
        """
        changed = connection.execute(
            """
            INSERT INTO scores (level_id, user_id, score, reached_at)
            SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                   key + max(:now, (SELECT coalesce(max(reached_at) + 1, 0)
                                      FROM scores
                                     WHERE level_id = json_extract(value, '$[0]')
                                       AND score = json_extract(value, '$[2]')))
              FROM json_each(:posts)
             WHERE true
            ON CONFLICT (level_id, user_id)
              DO UPDATE SET score = excluded.score,
                            reached_at = excluded.reached_at
                      WHERE excluded.score > scores.score
            """,
            {"posts": json.dumps(posts), "now": int(self._clock() * 1_000_000)},
        ).rowcount
        return [changed > 0] * len(posts)

    def _after_posts(self, connection: sqlite3.Connection, posts: list[Post], may_have_changed: list[bool]) -> None:
        if may_have_changed[0]:
            self._lists.update(connection, [level_id for level_id, _, _ in posts])

    def _store_and_rank(self, connection: sqlite3.Connection, posts: list[Post]) -> list[Outcome]:
        return [self._store_one_and_rank(connection, post) for post in posts]

    def _store_one_and_rank(self, connection: sqlite3.Connection, post: Post) -> Outcome:
        level_id, user_id, score = post
        before = read_position(connection, level_id, user_id)
        previous = before.score if before else None
        improved = previous is None or score > previous
        if improved:
            self._store(connection, [post])
        best = score if previous is None else max(score, previous)
        return improved, best, previous, rank_of(connection, level_id, best), players_of(connection, level_id)

    def _after_posts_and_ranks(
        self, connection: sqlite3.Connection, posts: list[Post], outcomes: list[Outcome]
    ) -> None:
        improved = [level_id for (level_id, _, _), (improved, *_) in zip(posts, outcomes, strict=True) if improved]
        self._lists.update(connection, improved)
