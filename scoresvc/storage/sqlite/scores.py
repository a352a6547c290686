"""What the writer does for scores: what each user has posted to each level, and what stands of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from scoresvc.levels import LevelSettings
from scoresvc.periods import ALL_TIME, Period, periods_at
from scoresvc.scores import PeriodResult, PostResult, Timestamp
from scoresvc.storage.ledger import turn
from scoresvc.storage.pages import BoardId
from scoresvc.storage.rebuilding import KEEPING
from scoresvc.storage.sqlite.appends import POST, Appends, is_held
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Lists, Post
from scoresvc.storage.sqlite.ranks import players_of, rank_of, read_position
from scoresvc.storage.sqlite.rules import BUILT_IN, Rules
from scoresvc.storage.sqlite.transactions import Change

BoardOutcome = tuple[str, bool, int, int | None, int, int, int]  # the fields of PeriodResult; all time ends at 0
Outcome = Sequence[BoardOutcome]  # of all time first


def make_result(outcome: Outcome) -> PostResult:
    (_, improved, best, previous, rank, players, _), *of_periods = outcome
    periods = tuple([_make_period_result(*each) for each in of_periods])
    return PostResult(improved, best, previous, rank, players, periods or msgspec.UNSET)


def _make_period_result(
    name: str, improved: bool, best: int, previous: int | None, rank: int, players: int, ends_at: int
) -> PeriodResult:
    return PeriodResult(name, improved, best, previous, rank, players, Timestamp(ends_at))


def make_held_result(outcome: Outcome) -> PostResult:
    return msgspec.structs.replace(make_result(outcome), held=True)


class ScoreChanges:
    """What the writer does for posts; `clock` returns Unix seconds."""

    def __init__(self, lists: Lists, appends: Appends, rules: Rules, clock: Callable[[], float]) -> None:
        self._lists = lists
        self._rules = rules
        self._clock = clock
        self._appends = appends
        self.post = Change(POST, appends.store_posts, self._after_posts, appends.store)
        self.post_and_rank = Change("post_and_rank", self._store_and_rank, self._after_posts_and_ranks)

    def _after_posts(self, connection: sqlite3.Connection, posts: list[Post], may_have_changed: list[bool]) -> None:
        if may_have_changed[0]:
            self.update(connection, posts)

    def update(self, connection: sqlite3.Connection, posts: Iterable[Post]) -> None:
        """Lets the lists of levels where more is better, and the best stands, get the posts."""
        if self._rules.are_absent():
            self._lists.update(connection, posts)
            return
        added: list[Post] = []
        others: set[int] = set()
        for post in posts:
            self._rules.note_pinned(post[0])
            if self._is_plain(post):
                added.append(post)
            else:
                others.add(post[0])
        self._lists.update(connection, [post for post in added if post[0] not in others], others)

    def _is_plain(self, post: Post) -> bool:
        level_id, user_id, score, _ = post
        settings = self._rules.settings_of(level_id)
        is_ranked_so = settings.order == BUILT_IN.order and settings.keep == BUILT_IN.keep
        return is_ranked_so and not is_held(settings, score) and self._rules.ban_of(user_id) is None

    def _store_and_rank(self, connection: sqlite3.Connection, posts: list[Post]) -> list[Outcome]:
        return [self._store_one_and_rank(connection, post) for post in posts]

    def store_and_tell(self, connection: sqlite3.Connection, post: Post) -> tuple[PostResult, bool]:
        """Stores a post; returns what it changes, and whether it is held."""
        result = make_result(self._store_one_and_rank(connection, post))
        return result, is_held(self._rules.settings_of(post[0]), post[2])

    def _store_one_and_rank(self, connection: sqlite3.Connection, post: Post) -> Outcome:
        """Returns what the post changes, also of one that is held or whose user's ban is hidden: as if it counted."""
        level_id, user_id, score, _ = post
        settings = self._rules.settings_of(level_id)
        now = int(self._clock() * 1_000_000)
        periods = (ALL_TIME, *periods_at(settings, now))
        boards = [BoardId(level_id, period.number) for period in periods]
        before = [read_position(connection, board, user_id) for board in boards]
        self._appends.store_post(connection, post, now)
        return [
            _outcome(connection, settings, period, Attempt(board, user_id, score, position.score if position else None))
            for period, board, position in zip(periods, boards, before, strict=True)
        ]

    def _after_posts_and_ranks(
        self, connection: sqlite3.Connection, posts: list[Post], outcomes: list[Outcome]
    ) -> None:
        self.update(connection, posts)


class Attempt(NamedTuple):
    """A post to a board where `previous` stood before, turned."""

    board: BoardId
    user_id: int
    score: int
    previous: int | None


def _outcome(connection: sqlite3.Connection, settings: LevelSettings, period: Period, attempt: Attempt) -> BoardOutcome:
    board, user_id, score, previous = attempt
    posted = turn(score, settings.order), 0
    best = posted[0] if previous is None else KEEPING[settings.keep]((previous, 0), posted, settings.order)[0]
    stands = read_position(connection, board, user_id)
    # Where the post does not count, the user's own score is not above it, and a first one is not among the players.
    rank = rank_of(connection, board, best) - (1 if stands and stands.score > best else 0)
    players = players_of(connection, board) + (1 if stands is None else 0)
    return (
        period.name,
        previous is None or best > previous,
        turn(best, settings.order),
        None if previous is None else turn(previous, settings.order),
        rank,
        players,
        period.ends_at or 0,
    )
