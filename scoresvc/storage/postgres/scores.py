"""Scores: the best of each user on each level.

Theory of operation: the statements of all posts of a batch go in one transaction, in this order, and none depends on an
answer to another. LOCK takes the rows of the levels, in the order of their numbers so that no two nodes wait for each
other, and makes those that are new. From there on the levels are ours: what a statement reads stays true until the
commit. PREVIOUS reads what is to be told of a post. COUNT counts new players and moves others between bands; it
compares with the scores that stand, so it comes before STORE, which stores what is better. RANK reads what the posts
came to. To do all of it in one statement was tried: that one gets a plan which takes thirty times as long.

Of several posts of a user to a level only the best is stored, because ON CONFLICT cannot touch a row twice. A band or
a level that has grown is divided after the posts are acknowledged; what keeps a node from that, such as its death, is
made up for when another 1,024 players have come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from scoresvc.scores import PostResult
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import psycopg, write_array
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, divide
from scoresvc.storage.postgres.transactions import PipelinedChange, SentChange
from scoresvc.storage.postgres.workers import Workers
from scoresvc.storage.write import Write

if TYPE_CHECKING:
    Rows = psycopg.Cursor[tuple[Any, ...]]


class Post(NamedTuple):
    level_id: int
    user_id: int
    score: int
    is_ranked: bool  # whether its outcome is asked for


LOCK = """
INSERT INTO levels AS level (level_id, players)
SELECT level_id, 0
  FROM unnest(%(locked)s::int[]) AS level_id
 ORDER BY level_id
    ON CONFLICT (level_id) DO UPDATE SET players = level.players
"""

PREVIOUS = """
SELECT post.level_id, post.user_id, scores.score
  FROM unnest(%(levels)s::int[], %(users)s::int[]) AS post (level_id, user_id)
  JOIN scores ON scores.level_id = post.level_id AND scores.user_id = post.user_id
"""

COUNT = """
  WITH better AS (
       SELECT post.level_id, post.score, scores.score AS previous, levels.narrowest
         FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[]) AS post (level_id, user_id, score)
         JOIN levels ON levels.level_id = post.level_id
         LEFT JOIN scores ON scores.level_id = post.level_id AND scores.user_id = post.user_id
        WHERE scores.score IS NULL OR post.score > scores.score),
       entered AS (
       UPDATE levels
          SET players = levels.players + entering.players
         FROM (SELECT level_id, count(*) AS players
                 FROM better
                WHERE previous IS NULL
                GROUP BY level_id) AS entering
        WHERE levels.level_id = entering.level_id
    RETURNING levels.level_id, levels.players, levels.narrowest),
       step (level_id, narrowest, score, players) AS (
       SELECT level_id, narrowest, score, 1 FROM better
        UNION ALL
       SELECT level_id, narrowest, previous, -1 FROM better WHERE previous IS NOT NULL),
       moved AS (
       SELECT level_id, width, score / width AS band, sum(players) AS players
         FROM step
         JOIN (VALUES (16777216), (65536), (256), (1)) AS digit (width) ON width >= narrowest
        GROUP BY level_id, width, band
       HAVING sum(players) <> 0),
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
SELECT level_id, width, lowest_score + (place - 1) * width
  FROM counted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
 UNION ALL
SELECT level_id, NULL, 0
  FROM entered
 WHERE players > %(full)s AND narrowest = %(none)s
"""

STORE = """
INSERT INTO scores (level_id, user_id, score, reached_at)
SELECT post.level_id, post.user_id, post.score,
       post.place - 1 + greatest(coalesce(%(now)s::bigint,
                                          (extract(epoch FROM statement_timestamp()) * 1000000)::bigint),
                                 (SELECT max(reached_at) + 1
                                    FROM scores
                                   WHERE level_id = post.level_id AND score = post.score))
  FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[])
       WITH ORDINALITY AS post (level_id, user_id, score, place)
    ON CONFLICT (level_id, user_id)
       DO UPDATE SET score = excluded.score,
                     reached_at = excluded.reached_at
               WHERE excluded.score > scores.score
"""

RANK = """
SELECT scores.level_id, scores.user_id, scores.score, rank_of(scores.level_id, scores.score), levels.players
  FROM unnest(%(levels)s::int[], %(users)s::int[]) AS post (level_id, user_id)
  JOIN scores ON scores.level_id = post.level_id AND scores.user_id = post.user_id
  JOIN levels ON levels.level_id = post.level_id
"""


class PipelinedScores:
    """Posts scores, see `ScoreStore`; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(self, workers: Workers, clock: Callable[[], float] | None) -> None:
        self._workers = workers
        self._clock = clock
        self._change = PipelinedChange("post", self._send)

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=False), _nothing)

    def post_and_rank(self, level_id: int, user_id: int, score: int) -> Write[PostResult]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=True), _as_it_is)

    def _send(self, connection: Connection, posts: list[Post]) -> SentChange[PostResult | None]:
        ranked = [post for post in posts if post.is_ranked]
        best = _best_of(posts)
        values = {
            "now": int(self._clock() * 1_000_000) if self._clock else None,
            "full": PLAYERS_MAX,
            "none": NO_BANDS,
            **_arrays(best),
        }
        levels = sorted({post.level_id for post in best})
        connection.execute(LOCK, {"locked": write_array(levels)})
        previous = connection.execute(PREVIOUS, _arrays(ranked)) if ranked else None
        counted = connection.execute(COUNT, values)
        connection.execute(STORE, values)
        ranks = connection.execute(RANK, _arrays(ranked)) if ranked else None
        return SentChange(partial(_outcomes, posts, previous, ranks), partial(_divide_full, counted))


def _best_of(posts: Sequence[Post]) -> list[Post]:
    """Returns the best post of each user to each level, in the order in which they came."""
    best: dict[tuple[int, int], Post] = {}
    for post in posts:
        key = post.level_id, post.user_id
        if key not in best or post.score > best[key].score:
            best.pop(key, None)
            best[key] = post
    return list(best.values())


def _arrays(posts: Sequence[Post]) -> dict[str, str]:
    return {
        "levels": write_array([post.level_id for post in posts]),
        "users": write_array([post.user_id for post in posts]),
        "scores": write_array([post.score for post in posts]),
    }


def _outcomes(posts: Sequence[Post], previous: Rows | None, ranks: Rows | None) -> list[PostResult | None]:
    """Returns for each post that is ranked what it changed, with best and rank as they are at the end of the batch."""
    if previous is None or ranks is None:
        return [None] * len(posts)
    stood: dict[tuple[int, int], int] = {(level, user): score for level, user, score in previous.fetchall()}
    stands = {(level, user): standing for level, user, *standing in ranks.fetchall()}
    outcomes: list[PostResult | None] = []
    for level_id, user_id, score, is_ranked in posts:
        key = level_id, user_id
        before = stood.get(key)
        improved = before is None or score > before
        if improved:
            stood[key] = score
        if not is_ranked:
            outcomes.append(None)
            continue
        best, rank, players = stands[key]
        outcomes.append(PostResult(improved, best, before, rank, players))
    return outcomes


def _divide_full(counted: Rows, connection: Connection) -> None:
    """Divides the bands that these posts have filled, and the levels, which are rows without a width."""
    for level_id, width, lowest_score in counted.fetchall():
        divide(connection, level_id, width, lowest_score)


def _nothing(output: None) -> None:
    return None


def _as_it_is(outcome: PostResult) -> PostResult:
    return outcome
