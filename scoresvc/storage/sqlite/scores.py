"""Scores: the best of each user on each level."""

from __future__ import annotations

from scoresvc.scores import PostResult
from scoresvc.storage.sqlite.appends import POST, Appends
from scoresvc.storage.sqlite.boards import read_position
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Lists, Post
from scoresvc.storage.sqlite.ranks import players_of, rank_of
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.write import Write

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
    """What the writer does for posts."""

    def __init__(self, lists: Lists, appends: Appends) -> None:
        self._lists = lists
        self._store = appends.store_posts
        self.post = Change(POST, self._store, self._after_posts, appends.store)
        self.post_and_rank = Change("post_and_rank", self._store_and_rank, self._after_posts_and_ranks)

    def _after_posts(self, connection: sqlite3.Connection, posts: list[Post], may_have_changed: list[bool]) -> None:
        if may_have_changed[0]:
            self._lists.update(connection, posts)

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
        improved = [post for post, (improved, *_) in zip(posts, outcomes, strict=True) if improved]
        self._lists.update(connection, improved)
