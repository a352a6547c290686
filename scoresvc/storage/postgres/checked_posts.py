"""Posts that depend on what is stored: those with an idempotency key, or with a new name for their user.

Theory of operation: what has gathered is a transaction of several round trips. TAKE_KEYS stores the keys of all posts
first. A key that another transaction has stored but not committed is waited for, so FIND_KEYS sees whose posts were
stored before. The others are stored as any batch, see `posting.py`, and SETTLE_KEYS stores what they were answered. All
take keys, names and levels in this order, each by their order, so that no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from scoresvc.errors import Banned, KeyReused, NameTaken, Refusal, Unavailable
from scoresvc.storage import users
from scoresvc.storage.keyed_posts import KEY_LIFETIME, KeyedPost, write_answer
from scoresvc.storage.postgres.clocks import read_now
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger_users import PostgresUserLedger
from scoresvc.storage.postgres.locks import LockedLevels
from scoresvc.storage.postgres.outcomes import Post, Told
from scoresvc.storage.postgres.posting import PostBatch
from scoresvc.storage.postgres.results import StoreResult
from scoresvc.storage.postgres.rules import PostRules
from scoresvc.storage.postgres.transactions import PipelinedTransactions
from scoresvc.storage.postgres.workers import Batch, Workers
from scoresvc.storage.users import UserName
from scoresvc.storage.write import Write

THREADS = 2

U = TypeVar("U")

TAKE_KEYS = """
INSERT INTO keyed_posts AS stored (user_id, key, level_id, score, stored_at)
SELECT user_id, key, level_id, score, %(now)s::bigint
  FROM unnest(%(users)s::int[], %(keys)s::text[], %(levels)s::int[], %(scores)s::int[])
       AS post (user_id, key, level_id, score)
 ORDER BY user_id, key
    ON CONFLICT (user_id, key)
       DO UPDATE SET level_id = excluded.level_id,
                     score = excluded.score,
                     stored_at = excluded.stored_at,
                     answer = NULL
             WHERE stored.stored_at <= excluded.stored_at - %(lifetime)s::bigint
RETURNING user_id, key
"""

FIND_KEYS = """
SELECT stored.user_id, stored.key, level_id, score, answer
  FROM unnest(%(users)s::int[], %(keys)s::text[]) AS asked (user_id, key)
  JOIN keyed_posts AS stored ON stored.user_id = asked.user_id AND stored.key = asked.key
"""

FIND_KEY = """
SELECT level_id, score, answer
  FROM keyed_posts
 WHERE user_id = %(user_id)s AND key = %(key)s::text AND stored_at > %(oldest)s::bigint
"""

SETTLE_KEYS = """
UPDATE keyed_posts AS stored
   SET answer = told.answer
  FROM unnest(%(users)s::int[], %(keys)s::text[], %(answers)s::bytea[]) AS told (user_id, key, answer)
 WHERE stored.user_id = told.user_id AND stored.key = told.key
"""

DROP_KEYS = """
DELETE FROM keyed_posts AS stored
 USING unnest(%(users)s::int[], %(keys)s::text[]) AS refused (user_id, key)
 WHERE stored.user_id = refused.user_id AND stored.key = refused.key
"""

PURGE_KEYS = """
DELETE FROM keyed_posts
 WHERE (user_id, key) IN (SELECT user_id, key
                            FROM keyed_posts
                           WHERE stored_at <= %(oldest)s::bigint
                           ORDER BY stored_at
                           LIMIT %(count)s::int)
"""


class CheckedPost(NamedTuple):
    post: Post
    key: str | None
    name: UserName | None

    @property
    def own_key(self) -> tuple[int, str]:
        return self.post.user_id, self.key or ""


class Answer(NamedTuple):
    answer: bytes
    is_replay: bool


class CheckedPosts:
    """Stores them in threads. `is_distributed` says that each level takes a transaction of its own.

    `clock` returns Unix seconds, None stands for the clock of the database.
    """

    def __init__(
        self,
        transactions: PipelinedTransactions,
        send: Callable[[Connection, PostBatch], StoreResult],
        rules: PostRules,
        names_are_unique: bool,
        is_distributed: bool,
        clock: Callable[[], float] | None,
    ) -> None:
        self._transactions = transactions
        self._send = send
        self._rules = rules
        self._names_are_unique = names_are_unique
        self._is_distributed = is_distributed
        self._clock = clock
        locked = LockedLevels(self._commit, lambda row: row.post.level_id)
        self._workers = Workers("checked", THREADS, locked.commit, lambda waiting: None)

    def begin(self, checked: CheckedPost, convert: Callable[[Answer], U]) -> Write[U]:
        """Queues a post, which may be refused with Banned, NameTaken, KeyReused. Raises Unavailable."""
        return self._workers.begin(None, checked, convert)

    def stop(self) -> None:
        self._workers.stop()

    def find(self, user_id: int, key: str) -> KeyedPost | None:
        """Returns a post that was stored with this key, which is not too old."""

        def find(connection: Connection) -> KeyedPost | None:
            oldest = read_now(connection, self._clock) - KEY_LIFETIME * 1_000_000
            rows = connection.execute(FIND_KEY, {"user_id": user_id, "key": key, "oldest": oldest}).fetchall()
            return KeyedPost(*rows[0]) if rows else None

        return self._transactions.run(find)

    def purge(self, count: int) -> int:
        """Deletes `count` keys at most that are too old; returns how many."""

        def delete(connection: Connection) -> int:
            oldest = read_now(connection, self._clock) - KEY_LIFETIME * 1_000_000
            return connection.execute(PURGE_KEYS, {"oldest": oldest, "count": count}).rowcount

        return self._transactions.run(delete)

    def _commit(self, batch: Batch, lock_timeout: float) -> None:
        """See `locks.Commit`."""
        while batch:
            part = self._first_part(batch)
            batch = [write for write in batch if write not in part]
            self._commit_part(part, lock_timeout)

    def _first_part(self, batch: Batch) -> Batch:
        """Returns writes without a key that comes twice, and of one level where that is needed."""
        by_key: dict[object, Write[Any]] = {}
        for write in batch:
            if not self._is_distributed or write.row.post.level_id == batch[0].row.post.level_id:
                by_key.setdefault(write if write.row.key is None else write.row.own_key, write)
        return list(by_key.values())

    def _commit_part(self, part: Batch, lock_timeout: float) -> None:
        try:
            work = partial(self._store, [write.row for write in part])
            outputs, result = self._transactions.run(work, lock_timeout)
        except Unavailable:
            raise
        except Exception as error:
            if len(part) == 1:
                part[0].fail(error)
            for write in part:
                if not write.is_done:
                    self._commit_part([write], lock_timeout)
            return
        for write, output in zip(part, outputs, strict=True):
            if isinstance(output, Refusal):
                write.fail(output)
            else:
                write.output = output
                write.finish()
        if result:
            self._transactions.follow(result.divide_full)

    def _store(
        self, rows: list[CheckedPost], connection: Connection
    ) -> tuple[list[Answer | Refusal | None], StoreResult | None]:
        """Returns the output of each, with what is to be done after the commit."""
        now = read_now(connection, self._clock)
        outputs = self._replay(connection, rows, now)
        for place, row in enumerate(rows):
            if outputs[place] is None and row.name:
                outputs[place] = self._rename(connection, row.post.user_id, row.name)
        fresh = [place for place, output in enumerate(outputs) if output is None]
        result = None
        if fresh:
            posts = [rows[place].post for place in fresh]
            batch = PostBatch(sorted(posts, key=lambda post: post.level_id), posts, now, self._rules)
            result = self._send(connection, batch)
            for place, outcome in zip(fresh, result.outcomes(posts), strict=True):
                outputs[place] = _answer(outcome)
        _settle_keys(connection, rows, outputs)
        return outputs, result

    def _replay(self, connection: Connection, rows: Sequence[CheckedPost], now: int) -> list[Answer | Refusal | None]:
        """Takes the keys; returns the output of each post that came before, None for one that is to be stored."""
        keyed = [row for row in rows if row.key is not None]
        if not keyed:
            return [None] * len(rows)
        keys = {"users": [row.post.user_id for row in keyed], "keys": [row.key for row in keyed]}
        posts = {"levels": [row.post.level_id for row in keyed], "scores": [row.post.score for row in keyed]}
        lifetime = KEY_LIFETIME * 1_000_000
        taken = connection.execute(TAKE_KEYS, {**keys, **posts, "now": now, "lifetime": lifetime}).fetchall()
        found = connection.execute(FIND_KEYS, keys).fetchall() if len(taken) < len(keyed) else []
        before = {(user_id, key): KeyedPost(*stored) for user_id, key, *stored in found if (user_id, key) not in taken}
        return [_replay_one(row.post, before.get(row.own_key)) if row.key is not None else None for row in rows]

    def _rename(self, connection: Connection, user_id: int, name: UserName) -> Refusal | None:
        try:
            users.rename(PostgresUserLedger(connection), user_id, name, self._names_are_unique)
        except NameTaken as refusal:
            return refusal
        return None


def _replay_one(post: Post, stored: KeyedPost | None) -> Answer | Refusal | None:
    try:
        return stored and Answer(bytes(stored.replay(post.level_id, post.score)), is_replay=True)
    except KeyReused as refusal:
        return refusal


def _answer(outcome: Told | Banned | None) -> Answer | Refusal:
    if isinstance(outcome, Banned):
        return outcome
    assert outcome is not None  # all are ranked
    return Answer(write_answer(outcome.of_all_time, outcome.is_held), is_replay=False)


def _settle_keys(
    connection: Connection, rows: Sequence[CheckedPost], outputs: Sequence[Answer | Refusal | None]
) -> None:
    """Stores the answers to the posts that were stored, and drops the keys of those that were refused."""
    keyed = [(row, output) for row, output in zip(rows, outputs, strict=True) if row.key is not None]
    answered = [(*row.own_key, each.answer) for row, each in keyed if isinstance(each, Answer) and not each.is_replay]
    refused = [row.own_key for row, each in keyed if isinstance(each, Banned | NameTaken)]
    if answered:
        users, keys, answers = map(list, zip(*answered, strict=True))
        connection.execute(SETTLE_KEYS, {"users": users, "keys": keys, "answers": answers})
    if refused:
        users, keys = map(list, zip(*refused, strict=True))
        connection.execute(DROP_KEYS, {"users": users, "keys": keys})
