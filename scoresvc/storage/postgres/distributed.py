"""The statements of one level, for a database that Citus distributes.

Theory of operation: all rows of a level are in one shard. A statement that says `level_id = …` of every table in it is
sent to the node of that shard; one for the levels of several shards is refused, or takes a commit in two phases over
their nodes. So `LevelWriters` splits a batch by level. Each part is a transaction of its own, which one node commits,
and a post is acknowledged when its own level is committed. A level whose node is away fails alone. The parts are made
in THREADS threads, because each waits for a disk, and those of a level always in the same one: there its posts gather,
and none waits for the lock of another.

The statements are those of `scores.py`, and what is said there holds, but that COUNT comes before STORE, because a
statement that changes several tables cannot begin with an INSERT from a query. A function that reads tables cannot run
on a shard, so RANK counts what `rank_of` counts elsewhere. SETTINGS calls a function that `distribute.sql` adds, which
makes the settings on the node of the level, too: Citus sends it what SET LOCAL says, not what set_config does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.scores import PostBatch, StoreResult, level_of, values_of
from scoresvc.storage.postgres.workers import Batch, Workers, run_or_refuse
from scoresvc.storage.write import Write

U = TypeVar("U")

THREADS = 8  # each with a connection

SETTINGS = "SELECT set_on_shards(%(durability)s, %(lock_timeout)s)"

LOCK = """
INSERT INTO levels AS level (level_id, players)
VALUES (%(level_id)s, 0)
    ON CONFLICT (level_id) DO UPDATE SET players = level.players
"""

PREVIOUS = """
SELECT 'stored', %(level_id)s::int, post.user_id, scores.score
  FROM unnest(%(users)s::int[]) AS post (user_id)
  LEFT JOIN scores ON scores.level_id = %(level_id)s AND scores.user_id = post.user_id
"""

COUNT = """
  WITH better AS (
       SELECT post.score, scores.score AS previous, levels.narrowest
         FROM unnest(%(users)s::int[], %(scores)s::int[]) AS post (user_id, score)
         JOIN levels ON levels.level_id = %(level_id)s
         LEFT JOIN scores ON scores.level_id = %(level_id)s AND scores.user_id = post.user_id
        WHERE scores.score IS NULL OR post.score > scores.score),
       entered AS (
       UPDATE levels
          SET players = levels.players + entering.players
         FROM (SELECT count(*) AS players FROM better WHERE previous IS NULL) AS entering
        WHERE levels.level_id = %(level_id)s AND entering.players > 0
    RETURNING levels.players, levels.narrowest),
       step AS (
       SELECT narrowest, score, 1 AS players FROM better
        UNION ALL
       SELECT narrowest, previous, -1 FROM better WHERE previous IS NOT NULL),
       moved AS (
       SELECT width, score / width AS band, sum(players) AS players
         FROM step
         JOIN (VALUES (16777216), (65536), (256), (1)) AS digit (width) ON width >= narrowest
        GROUP BY width, band
       HAVING sum(players) <> 0),
       changed AS (
       SELECT width, band / 256 * 256 * width AS lowest_score,
              array_agg(band %% 256 + 1) AS places, array_agg(players) AS changes
         FROM moved
        GROUP BY width, lowest_score),
       counted AS (
       UPDATE bands
          SET counts = add_counts(bands.counts, places, changes)
         FROM changed
        WHERE bands.level_id = %(level_id)s
          AND bands.width = changed.width
          AND bands.lowest_score = changed.lowest_score
    RETURNING bands.width, bands.lowest_score, bands.counts, places, changes)
SELECT 'full', %(level_id)s::int, width, lowest_score + (place - 1) * width
  FROM counted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
 UNION ALL
SELECT 'full', %(level_id)s::int, NULL, 0
  FROM entered
 WHERE players > %(full)s AND narrowest = %(none)s
"""

STANDING = ""

STORE = """
INSERT INTO scores (level_id, user_id, score, reached_at)
SELECT levels.level_id, post.user_id, post.score,
       post.place - 1 + greatest(coalesce(%(now)s::bigint,
                                          (extract(epoch FROM statement_timestamp()) * 1000000)::bigint),
                                 (SELECT max(reached_at) + 1
                                    FROM scores
                                   WHERE level_id = %(level_id)s AND score = post.score))
  FROM levels
 CROSS JOIN unnest(%(users)s::int[], %(scores)s::int[]) WITH ORDINALITY AS post (user_id, score, place)
 WHERE levels.level_id = %(level_id)s
    ON CONFLICT (level_id, user_id)
       DO UPDATE SET score = excluded.score,
                     reached_at = excluded.reached_at
               WHERE excluded.score > scores.score
"""

RANK = """
SELECT scores.level_id, scores.user_id, scores.score,
       1 + above.players::bigint
         + (SELECT count(*)
              FROM scores AS better
             WHERE better.level_id = %(level_id)s
               AND better.score > scores.score
               AND better.score < scores.score - scores.score %% above.narrowest + above.narrowest),
       levels.players, scores.reached_at
  FROM scores
  JOIN levels ON levels.level_id = %(level_id)s
 CROSS JOIN LATERAL (
       SELECT coalesce(sum((SELECT sum(count)
                              FROM unnest(counts[scores.score / row.width %% 256 + 2:]) AS count)), 0) AS players,
              coalesce(min(row.width), 2147483648) AS narrowest
         FROM (VALUES (16777216::bigint), (65536), (256), (1)) AS digit (width)
         JOIN bands AS row
           ON row.level_id = %(level_id)s
          AND row.width = digit.width
          AND row.lowest_score = scores.score - scores.score %% (256 * digit.width)) AS above
 WHERE scores.level_id = %(level_id)s AND scores.user_id = ANY(%(users)s::int[])
"""

# Each list is read on the node of its level, those of many levels on all their nodes at once. Citus finds the shards of
# a table only by what is said of that table itself, so the levels are named twice.
LISTS = b"""
SELECT level_id,
       (SELECT coalesce(string_agg(user_id || '=' || score, ',' ORDER BY score DESC, reached_at), '')
          FROM (SELECT user_id, score, reached_at
                  FROM scores
                 WHERE scores.level_id = levels.level_id AND scores.level_id = ANY($1::int[])
                 ORDER BY score DESC, reached_at, user_id
                 LIMIT 15) AS best)
  FROM levels
 WHERE level_id = ANY($1::int[])
"""

# Rows of many shards cannot be locked. Of two nodes that purge at once, one may be rolled back and run again.
PURGE = """
DELETE FROM sessions
 WHERE key_hash IN (SELECT key_hash
                      FROM sessions
                     WHERE expires_at <= coalesce(%(now)s::double precision,
                                                  extract(epoch FROM statement_timestamp()))
                     ORDER BY expires_at
                     LIMIT %(count)s)
"""


def send_level(connection: Connection, batch: PostBatch) -> StoreResult:
    """Sends the statements of posts to one level."""
    level = {"level_id": batch.best[0].level_id}
    values, ranked = level | values_of(batch), level | arrays_of(batch.ranked)
    connection.execute(LOCK, level)
    previous = [connection.execute(PREVIOUS, ranked)] if batch.ranked else []
    counted = connection.execute(COUNT, values)
    connection.execute(STORE, values)
    ranks = connection.execute(RANK, ranked) if batch.ranked else None
    return StoreResult([*previous, counted], ranks)


class LevelWriters:
    """Commits the posts of each level in a transaction of their own; see `Workers`."""

    def __init__(
        self,
        name: str,
        commit: Callable[[Batch], object],
        note_waiting: Callable[[int], object],
        threads: int = THREADS,
    ) -> None:
        self._note_waiting = note_waiting
        self._waiting = [0] * threads
        self._workers = [
            Workers(f"{name}-{place}", 1, partial(_commit_by_level, commit), partial(self._note, place))
            for place in range(threads)
        ]

    def begin(self, change: Any, row: Any, convert: Callable[[Any], U]) -> Write[U]:
        """Queues a write. Raises Unavailable where no more may wait."""
        return self._workers[(level_of(row) or 0) % len(self._workers)].begin(change, row, convert)

    def oldest(self) -> float:
        return max(workers.oldest() for workers in self._workers)

    def stop(self) -> None:
        for workers in self._workers:
            workers.stop()

    def _note(self, place: int, waiting: int) -> None:
        self._waiting[place] = waiting
        self._note_waiting(sum(self._waiting))


def _commit_by_level(commit: Callable[[Batch], object], batch: Batch) -> None:
    parts: dict[int | None, Batch] = {}
    for write in batch:
        parts.setdefault(level_of(write.row), []).append(write)
    for part in parts.values():
        run_or_refuse(commit, part)
