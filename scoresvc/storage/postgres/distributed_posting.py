"""The statements that store the posts to one level, for a database that Citus distributes.

Theory of operation: all rows of a level are in one shard. A statement that says `level_id = …` of each table in it is
sent to the node of that shard; one for the levels of several shards is refused, or takes a commit in two phases over
their nodes. So the posts to a level are a transaction of their own, see `distributed_writers.py`.

What is said in `posting.py` holds, but a statement that changes several tables cannot be sent to a shard if it adds
rows from a query. So a part takes two round trips: LOCK, then READ, which tells how the posts count and what stands on
their boards; from that, `Counting` finds what is to be stored, and the statements of the second trip store it. Where
the batch is late, LATEST is a third one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.counting import Counting
from scoresvc.storage.postgres.library import write_array
from scoresvc.storage.postgres.posting import LOCK_BANS, PostBatch, values_of_ranked
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX
from scoresvc.storage.postgres.results import FetchedRows, Rows, StoreResult

LOCK = """
INSERT INTO boards AS board (level_id, period, players, locked_at, latest_at)
VALUES (%(level_id)s, 0, 0,
        coalesce(%(now)s::bigint, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint),
        coalesce(%(now)s::bigint, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint) + %(posts)s - 1)
    ON CONFLICT (level_id, period)
       DO UPDATE SET locked_at = excluded.locked_at,
                     latest_at = greatest(excluded.latest_at,
                                          board.latest_at + 1 + excluded.latest_at - excluded.locked_at)
"""

PIN = """
INSERT INTO level_settings (level_id, settings)
SELECT level_id, %(pinned)s::jsonb
  FROM boards
 WHERE level_id = %(level_id)s
   AND period = 0
   AND NOT EXISTS (SELECT FROM scores WHERE level_id = %(level_id)s)
    ON CONFLICT (level_id) DO NOTHING
"""

READ = """
SELECT boards.locked_at, boards.latest_at, rule.is_turned, rule.keep, rule.hold, rule.day, counted.period,
       posted.user_id, bans.hide, stands.score
  FROM boards
  LEFT JOIN level_settings AS own ON own.level_id = %(level_id)s
 CROSS JOIN LATERAL rules_at(own.settings, %(defaults)s::jsonb, boards.locked_at) AS rule
 CROSS JOIN LATERAL unnest(rule.periods) AS counted (period)
 CROSS JOIN unnest(%(users)s::int[]) AS posted (user_id)
  LEFT JOIN bans ON bans.user_id = posted.user_id
  LEFT JOIN scores AS stands
    ON stands.level_id = %(level_id)s
   AND stands.period = counted.period
   AND stands.user_id = posted.user_id
 WHERE boards.level_id = %(level_id)s AND boards.period = 0
"""

LATEST = """
SELECT reached.place, max(equal.reached_at)
  FROM boards
 CROSS JOIN unnest(%(places)s::int[], %(periods)s::int[], %(scores)s::int[]) AS reached (place, period, score)
 CROSS JOIN LATERAL (
       SELECT max(reached_at) AS reached_at
         FROM scores
        WHERE level_id = %(level_id)s AND period = reached.period AND score = reached.score) AS equal
 WHERE boards.level_id = %(level_id)s AND boards.period = 0 AND equal.reached_at IS NOT NULL
 GROUP BY reached.place
"""

NUMBERS = """
SELECT nextval(pg_get_serial_sequence('submissions', 'submission_id')) FROM generate_series(1, %(count)s)
"""

SUBMIT = """
INSERT INTO submissions (submission_id, level_id, user_id, score, posted_at, day, state, meta)
SELECT post.submission_id, boards.level_id, post.user_id, post.score, post.posted_at, %(day)s, post.state, post.meta
  FROM boards
 CROSS JOIN unnest(%(numbers)s::bigint[], %(users)s::int[], %(scores)s::int[], %(times)s::bigint[],
                   %(states)s::smallint[], %(metas)s::text[])
            AS post (submission_id, user_id, score, posted_at, state, meta)
 WHERE boards.level_id = %(level_id)s AND boards.period = 0
"""

ENTER = """
INSERT INTO boards AS board (level_id, period, players)
SELECT level.level_id, entering.period, entering.players
  FROM boards AS level
 CROSS JOIN unnest(%(periods)s::int[], %(players)s::int[]) AS entering (period, players)
 WHERE level.level_id = %(level_id)s AND level.period = 0
    ON CONFLICT (level_id, period) DO UPDATE SET players = board.players + excluded.players
RETURNING level_id, period, players, narrowest
"""

COUNT = """
  WITH moved AS (
       SELECT step.period, width, step.score / width AS band, sum(step.players) AS players
         FROM unnest(%(periods)s::int[], %(scores)s::int[], %(players)s::int[]) AS step (period, score, players)
         JOIN boards ON boards.level_id = %(level_id)s AND boards.period = step.period
         JOIN (VALUES (16777216), (65536), (256), (1)) AS digit (width) ON width >= narrowest
        GROUP BY step.period, width, band
       HAVING sum(step.players) <> 0),
       changed AS (
       SELECT period, width, band / 256 * 256 * width AS lowest_score,
              array_agg(band %% 256 + 1) AS places, array_agg(players) AS changes
         FROM moved
        GROUP BY period, width, lowest_score),
       recounted AS (
       UPDATE bands
          SET counts = add_counts(bands.counts, places, changes)
         FROM changed
        WHERE bands.level_id = %(level_id)s
          AND bands.period = changed.period
          AND bands.width = changed.width
          AND bands.lowest_score = changed.lowest_score
    RETURNING bands.period, bands.width, bands.lowest_score, bands.counts, places, changes)
SELECT 'full', %(level_id)s::int, period, width, lowest_score + (place - 1) * width
  FROM recounted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
"""

STORE = """
INSERT INTO scores (level_id, period, user_id, score, reached_at)
SELECT boards.level_id, best.period, best.user_id, best.score, best.reached_at
  FROM boards
 CROSS JOIN unnest(%(periods)s::int[], %(users)s::int[], %(scores)s::int[], %(times)s::bigint[])
            AS best (period, user_id, score, reached_at)
 WHERE boards.level_id = %(level_id)s AND boards.period = 0
    ON CONFLICT (level_id, period, user_id)
       DO UPDATE SET score = excluded.score,
                     reached_at = excluded.reached_at
"""

# As RANK of `posting.py`; but no function that reads tables can run on a shard, so this counts as `rank_of` does.
RANK = """
SELECT post.place, rule.is_turned, rule.keep, rule.hold, rule.zone, is_held, bans.hide,
       counted.period, stands.score, best.score,
       1 + above.players::bigint
         + (SELECT count(*)
              FROM scores AS better
             WHERE better.level_id = %(level_id)s
               AND better.period = counted.period
               AND better.score > best.score
               AND better.score < best.score - best.score %% above.narrowest + above.narrowest)
         - CASE WHEN stands.score > best.score THEN 1 ELSE 0 END,
       coalesce(board.players, 0) + CASE WHEN stands.score IS NULL THEN 1 ELSE 0 END
  FROM boards AS level
  LEFT JOIN level_settings AS own ON own.level_id = %(level_id)s
 CROSS JOIN LATERAL rules_at(own.settings, %(defaults)s::jsonb, level.locked_at) AS rule
 CROSS JOIN unnest(%(users)s::int[], %(scores)s::int[]) WITH ORDINALITY AS post (user_id, score, place)
 CROSS JOIN LATERAL (SELECT CASE WHEN rule.is_turned THEN 2147483647 - post.score
                                 ELSE post.score END AS score) AS turned
 CROSS JOIN LATERAL (SELECT coalesce(turned.score >= CASE WHEN rule.is_turned THEN 2147483647 - rule.hold
                                                          ELSE rule.hold END, false) AS is_held) AS holding
  LEFT JOIN bans ON bans.user_id = post.user_id
 CROSS JOIN LATERAL unnest(rule.periods) AS counted (period)
  LEFT JOIN scores AS stands
    ON stands.level_id = %(level_id)s
   AND stands.period = counted.period
   AND stands.user_id = post.user_id
  LEFT JOIN boards AS board ON board.level_id = %(level_id)s AND board.period = counted.period
 CROSS JOIN LATERAL (
       SELECT CASE WHEN bans.hide IS NULL AND NOT is_held THEN stands.score
                   ELSE kept_score(rule.keep, rule.is_turned, stands.score, turned.score, turned.score, post.score)
              END AS score) AS best
 CROSS JOIN LATERAL (
       SELECT coalesce(sum((SELECT sum(count)
                              FROM unnest(counts[best.score / row.width %% 256 + 2:]) AS count)), 0) AS players,
              coalesce(min(row.width), 2147483648) AS narrowest
         FROM (VALUES (16777216::bigint), (65536), (256), (1)) AS digit (width)
         JOIN bands AS row
           ON row.level_id = %(level_id)s
          AND row.period = counted.period
          AND row.width = digit.width
          AND row.lowest_score = best.score - best.score %% (256 * digit.width)) AS above
 WHERE level.level_id = %(level_id)s AND level.period = 0
 ORDER BY post.place, counted.period
"""


def send_level(connection: Connection, batch: PostBatch) -> StoreResult:
    """Sends the statements of posts to one level; waits for what stands on its boards."""
    level_id, rules = batch.posts[0].level_id, batch.rules
    level = {"level_id": level_id}
    connection.execute(LOCK_BANS)
    connection.execute(LOCK, {**level, "now": batch.now, "posts": len(batch.posts)})
    if rules.pinned:
        connection.execute(PIN, {**level, "pinned": rules.pinned})
    users = write_array(dict.fromkeys(post.user_id for post in batch.posts))
    read = connection.execute(READ, {**level, "defaults": rules.defaults, "users": users})
    counting = Counting(batch.posts, read.fetchall())
    if counting.is_late and (reached := counting.reached()):
        places, periods, scores = map(write_array, zip(*reached, strict=True))
        latest = connection.execute(LATEST, {**level, "places": places, "periods": periods, "scores": scores})
        counting.come_after(latest.fetchall())
    counting.count(rules.keeps_history)
    full = _store(connection, level_id, counting)
    ranked = {**level, **values_of_ranked(batch)}
    ranks = connection.execute(RANK, ranked) if batch.ranked else None
    return StoreResult([FetchedRows(counting.told(level_id)), *full], ranks)


def _store(connection: Connection, level_id: int, counting: Counting) -> list[Rows]:
    """Sends what is to be stored; returns the rows of what is full."""
    level = {"level_id": level_id}
    if counting.submissions:
        numbers = connection.execute(NUMBERS, {"count": len(counting.submissions)}).fetchall()
        *numbers_of_posts, metas = zip(*counting.submissions, strict=True)
        users, scores, times, states = map(write_array, numbers_of_posts)
        values = {"users": users, "scores": scores, "times": times, "states": states, "metas": list(metas)}
        numbered = {"numbers": write_array([number for (number,) in numbers]), "day": counting.day}
        connection.execute(SUBMIT, {**level, **values, **numbered})
    if not counting.changes:
        return []
    full: list[Rows] = []
    if entering := counting.entering():
        periods, players = map(write_array, zip(*entering.items(), strict=True))
        entered = connection.execute(ENTER, {**level, "periods": periods, "players": players})
        full.append(FullBoards(entered))
    periods, scores, players = map(write_array, zip(*counting.steps(), strict=True))
    steps = {"periods": periods, "scores": scores, "players": players, "full": PLAYERS_MAX}
    full.append(connection.execute(COUNT, {**level, **steps}))
    periods, users, scores, times = map(write_array, zip(*counting.rows(), strict=True))
    connection.execute(STORE, {**level, "periods": periods, "users": users, "scores": scores, "times": times})
    return full


class FullBoards(NamedTuple):
    """Of the boards that somebody has entered those that are to be divided; see `Rows`."""

    entered: Any

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [
            ("full", level_id, period, None, 0)
            for level_id, period, players, narrowest in self.entered.fetchall()
            if players > PLAYERS_MAX and narrowest == NO_BANDS
        ]
