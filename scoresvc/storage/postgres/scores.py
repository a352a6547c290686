"""Scores: what each user has posted to each level, and what stands of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

from scoresvc.errors import Banned
from scoresvc.scores import NO_DETAILS, PostDetails, PostResult, Replay
from scoresvc.storage.keyed_posts import read_answer
from scoresvc.storage.postgres.checked_posts import Answer, CheckedPost, CheckedPosts
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.outcomes import Outcome, Post
from scoresvc.storage.postgres.posting import PostBatch
from scoresvc.storage.postgres.results import StoreResult
from scoresvc.storage.postgres.rules import PostRules
from scoresvc.storage.postgres.transactions import PipelinedChange, SentChange
from scoresvc.storage.postgres.workers import Writers
from scoresvc.storage.store import WouldBlock
from scoresvc.storage.users import NameRules
from scoresvc.storage.write import Write


def level_of(row: object) -> int | None:
    """Returns the level of a post, None for a row of another change."""
    return row.level_id if isinstance(row, Post) else None


class PipelinedScores:
    """Posts scores, see `ScoreStore`; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(
        self,
        workers: Writers,
        checked: CheckedPosts,
        clock: Callable[[], float] | None,
        send: Callable[[Connection, PostBatch], StoreResult],
        rules: PostRules,
        names: NameRules,
        tells_held: bool,
    ) -> None:
        self._workers = workers
        self._checked = checked
        self._clock = clock
        self._send_batch = send
        self._rules = rules
        self._names = names
        self._tells_held = tells_held
        self._change = PipelinedChange("post", self._send)

    def post(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay] | Write[None]:
        if details.key is not None or details.name is not None:
            return self._begin_checked(level_id, user_id, score, details)
        post = Post(level_id, user_id, score, is_ranked=False, meta=details.meta)
        return self._workers.begin(self._change, post, _nothing)

    def post_and_rank(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay]:
        if details.key is not None or details.name is not None:
            return self._begin_checked(level_id, user_id, score, details)
        post = Post(level_id, user_id, score, is_ranked=True, meta=details.meta)
        return self._workers.begin(self._change, post, self._make_result)

    def find_replay(self, level_id: int, user_id: int, score: int, key: str) -> Replay | None:
        stored = self._checked.find(user_id, key)
        return stored and Replay(read_answer(stored.replay(level_id, score), self._tells_held))

    def delete_old_keys(self, count: int) -> int:
        return self._checked.purge(count)

    def _begin_checked(
        self, level_id: int, user_id: int, score: int, details: PostDetails
    ) -> Write[PostResult | Replay]:
        post = Post(level_id, user_id, score, is_ranked=True, meta=details.meta)
        checked = CheckedPost(post, details.key, self._names.check(details.name))
        return self._checked.begin(checked, self._read_answer)

    def _read_answer(self, output: Answer) -> PostResult | Replay:
        result = read_answer(output.answer, self._tells_held)
        return Replay(result) if output.is_replay else result

    def _make_result(self, outcome: Outcome) -> PostResult:
        if isinstance(outcome, Banned):
            raise outcome
        assert outcome is not None
        return outcome.result(self._tells_held)

    def _send(self, connection: Connection, posts: list[Post]) -> SentChange[Outcome]:
        ranked = [post for post in posts if post.is_ranked]
        now = int(self._clock() * 1_000_000) if self._clock else None
        batch = PostBatch(sorted(posts, key=_level_of_post), ranked, now, self._rules)
        result = self._send_batch(connection, batch)
        return SentChange(partial(result.outcomes, posts), result.divide_full)


class LoopScores(PipelinedScores):
    """The same for an event loop, which does not wait for the server."""

    def __init__(self, scores: PipelinedScores) -> None:
        self.__dict__.update(scores.__dict__)

    def find_replay(self, level_id: int, user_id: int, score: int, key: str) -> NoReturn:
        raise WouldBlock


def _level_of_post(post: Post) -> int:
    return post.level_id


def _nothing(outcome: Outcome) -> None:
    if isinstance(outcome, Banned):
        raise outcome
