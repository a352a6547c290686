"""Scores: the best of each user on each level.

Theory of operation: the statements of all posts of a batch go in one transaction, and none depends on an answer to
another. LOCK takes the rows of the levels, in the order of their numbers so that no two nodes wait for each other, and
makes those that are new. From there on the levels are ours: what is read stays true until the commit. STORE stores what
is better, which tells how many players are new and between which bands the others move, and counts them. RANK reads
what became of the posts whose outcome is asked for. A database that is distributed needs other statements: see
`distributed.py`.

Of several posts of a user to a level only the best is stored, because ON CONFLICT cannot touch a row twice. A band or
a level that has grown is divided after the posts are acknowledged; what keeps a node from that, such as its death or a
lock that another session holds, is made up for when another 1,024 players have come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from scoresvc.scores import PostResult
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import psycopg, write_array
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, divide
from scoresvc.storage.postgres.transactions import Begin, PipelinedChange, SentChange
from scoresvc.storage.postgres.workers import Writers
from scoresvc.storage.write import Write

if TYPE_CHECKING:
    Rows = psycopg.Cursor[tuple[Any, ...]]


class Post(NamedTuple):
    level_id: int
    user_id: int
    score: int
    is_ranked: bool  # whether its outcome is asked for


def level_of(row: object) -> int | None:
    """Returns the level of a post, None for a row of another change."""
    return row.level_id if isinstance(row, Post) else None


class PostBatch(NamedTuple):
    """The posts of a transaction."""

    best: list[Post]  # of each user to each level, in the order in which they came
    ranked: list[Post]
    now: int | None  # Unix microseconds; None stands for the clock of the database


LOCK = """
INSERT INTO levels AS level (level_id, players)
SELECT level_id, 0
  FROM unnest(%(locked)s::int[]) AS level_id
 ORDER BY level_id
    ON CONFLICT (level_id) DO UPDATE SET players = level.players
"""

STORE = """
  WITH stored AS (
       INSERT INTO scores AS best (level_id, user_id, score, reached_at)
       SELECT post.level_id, post.user_id, post.score,
              post.place - 1 + greatest(coalesce(%(now)s::bigint,
                                                 (extract(epoch FROM statement_timestamp()) * 1000000)::bigint),
                                        (SELECT max(reached_at) + 1
                                           FROM scores
                                          WHERE level_id = post.level_id AND score = post.score))
         FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[])
              WITH ORDINALITY AS post (level_id, user_id, score, place)
           ON CONFLICT (level_id, user_id)
              DO UPDATE SET previous = best.score,
                            score = excluded.score,
                            reached_at = excluded.reached_at
                      WHERE excluded.score > best.score
    RETURNING level_id, user_id, score, previous),
       entered AS (
       UPDATE levels
          SET players = levels.players + entering.players
         FROM (SELECT level_id, count(*) AS players
                 FROM stored
                WHERE previous IS NULL
                GROUP BY level_id) AS entering
        WHERE levels.level_id = entering.level_id
    RETURNING levels.level_id, levels.players, levels.narrowest),
       step (level_id, score, players) AS (
       SELECT level_id, score, 1 FROM stored
        UNION ALL
       SELECT level_id, previous, -1 FROM stored WHERE previous IS NOT NULL),
       moved AS (
       SELECT level_id, width, step.score / width AS band, sum(step.players) AS players
         FROM step
         JOIN levels USING (level_id)
         JOIN (VALUES (16777216), (65536), (256), (1)) AS digit (width) ON width >= narrowest
        WHERE narrowest < %(none)s
        GROUP BY level_id, width, band
       HAVING sum(step.players) <> 0),
       changed AS (
       SELECT level_id, width, band / 256 * 256 * width AS lowest_score,
              array_agg(band %% 256 + 1) AS places, array_agg(players) AS changes
         FROM moved
        GROUP BY level_id, width, lowest_score),
       counted AS (
       UPDATE bands
          SET counts = add_counts(bands.counts, places, changes)
         FROM changed
        WHERE bands.level_id = changed.level_id
          AND bands.width = changed.width
          AND bands.lowest_score = changed.lowest_score
    RETURNING bands.*, places, changes)
SELECT 'stored', level_id, user_id, previous
  FROM stored
 WHERE %(is_asked)s
 UNION ALL
SELECT 'full', level_id, width, lowest_score + (place - 1) * width
  FROM counted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
 UNION ALL
SELECT 'full', level_id, NULL, 0
  FROM entered
 WHERE players > %(full)s AND narrowest = %(none)s
"""

RANK = """
SELECT scores.level_id, scores.user_id, scores.score, rank_of(scores.level_id, scores.score), levels.players
  FROM unnest(%(levels)s::int[], %(users)s::int[]) AS post (level_id, user_id)
  JOIN scores ON scores.level_id = post.level_id AND scores.user_id = post.user_id
  JOIN levels ON levels.level_id = post.level_id
"""


class PipelinedScores:
    """Posts scores, see `ScoreStore`; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(
        self,
        workers: Writers,
        clock: Callable[[], float] | None,
        send: Callable[[Connection, PostBatch], StoreResult],
    ) -> None:
        self._workers = workers
        self._clock = clock
        self._send_batch = send
        self._change = PipelinedChange("post", self._send)

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=False), _nothing)

    def post_and_rank(self, level_id: int, user_id: int, score: int) -> Write[PostResult]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=True), _as_it_is)

    def _send(self, connection: Connection, posts: list[Post]) -> SentChange[PostResult | None]:
        ranked = [post for post in posts if post.is_ranked]
        now = int(self._clock() * 1_000_000) if self._clock else None
        result = self._send_batch(connection, PostBatch(_best_of(posts), ranked, now))
        return SentChange(partial(result.outcomes, posts), result.divide_full)


def _best_of(posts: Sequence[Post]) -> list[Post]:
    """Returns the best post of each user to each level, in the order in which they came."""
    best: dict[tuple[int, int], Post] = {}
    for post in posts:
        key = post.level_id, post.user_id
        if key not in best or post.score > best[key].score:
            best.pop(key, None)
            best[key] = post
    return list(best.values())


def send_batch(connection: Connection, batch: PostBatch) -> StoreResult:
    """Sends the statements of posts to any levels."""
    connection.execute(LOCK, {"locked": write_array(sorted({post.level_id for post in batch.best}))})
    stored = connection.execute(STORE, values_of(batch) | {"is_asked": bool(batch.ranked)})
    ranks = connection.execute(RANK, arrays_of(batch.ranked)) if batch.ranked else None
    return StoreResult([stored], ranks)


def values_of(batch: PostBatch) -> dict[str, Any]:
    return {"now": batch.now, "full": PLAYERS_MAX, "none": NO_BANDS, **arrays_of(batch.best)}


def arrays_of(posts: Sequence[Post]) -> dict[str, str]:
    return {
        "levels": write_array([post.level_id for post in posts]),
        "users": write_array([post.user_id for post in posts]),
        "scores": write_array([post.score for post in posts]),
    }


class StoreResult:
    """What the statements of a batch gave back, once it is committed."""

    def __init__(self, stored: Sequence[Rows], ranks: Rows | None) -> None:
        """Of rows ('stored', level, user, score before) and ('full', level, width, lowest score).

        And of rows (level, user, best, rank, players, …) for the posts whose outcome is asked for.
        """
        self._stored = stored
        self._ranks = ranks
        self._full: list[tuple[int, int | None, int]] = []  # level, width, lowest score

    def outcomes(self, posts: Sequence[Post]) -> list[PostResult | None]:
        """Returns what each post changed that is ranked, with best and rank as they are at the end of the batch."""
        before: dict[tuple[int, int], int | None] = {}
        rows = [row for each in self._stored for row in each.fetchall()]
        for kind, level_id, second, third in rows:
            if kind == "stored":
                before[level_id, second] = third
            else:
                self._full.append((level_id, second, third))
        if self._ranks is None:
            return [None] * len(posts)
        standings = {(level, user): standing for level, user, *standing in self._ranks.fetchall()}
        for key, (best, *_) in standings.items():
            before.setdefault(key, best)  # nothing better was stored
        return [_outcome(post, before, standings) for post in posts]

    def divide_full(self, begin: Begin) -> None:
        """Divides the bands that these posts have filled, and the levels, which are rows without a width."""
        for level_id, width, lowest_score in self._full:
            divide(begin, level_id, width, lowest_score)


Key = tuple[int, int]  # level, user


def _outcome(post: Post, before: dict[Key, int | None], standings: dict[Key, list[int]]) -> PostResult | None:
    """Posts of one user to a level follow each other: `before` gets what the next one finds."""
    key = post.level_id, post.user_id
    previous = before.get(key)
    improved = previous is None or post.score > previous
    if improved:
        before[key] = post.score
    if not post.is_ranked:
        return None
    best, rank, players, *_ = standings[key]
    return PostResult(improved, best, previous, rank, players)


def _nothing(output: None) -> None:
    return None


def _as_it_is(outcome: PostResult) -> PostResult:
    return outcome
