"""The statements that store the posts of a batch, on one server.

Theory of operation: the statements of all posts of a batch go in one transaction, and none depends on an answer to
another. LOCK takes the rows of the levels, in the order of their numbers so that no two nodes wait for each other, and
makes those that are new. From there on the levels are ours: what is read stays true until the commit. LOCK also notes
the time of the batch, by whose rules all its statements go. PIN settles by which order and keeping a new level ranks,
where [levels] has others than the built-in ones.

STORE finds the settings of each level, by which its posts count on the boards of which periods, adds the posts to the
submissions, stores what they come to, and counts who enters a board and between which bands the others move. Settings
and bans are read there and nowhere before, so they hold on all nodes from the moment in which they are set. A post of
a user who is banned comes back as such, and a hidden ban keeps it from the boards. RANK reads what became of the posts
whose outcome is asked for. A database that is distributed needs other statements: see `distributed_posting.py`.

Who reaches a score later has a later time, whichever node takes the post: the time is that of the batch plus the place
in it, but later than that of each equal score on the boards. Only where the clock has jumped back, or another node
started its batch later and was faster, can there be one with a later time. `boards.latest_at` is no earlier than any
time of the level, so STORE looks for one only where the batch `is_late`.

The posts of a user to a level are counted as one, because ON CONFLICT cannot touch a row twice. A band or a board that
has grown is divided after the posts are acknowledged; what keeps a node from that, such as its death or a lock
that another session holds, is made up for when another 1,024 players have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import write_array
from scoresvc.storage.postgres.outcomes import Post
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX
from scoresvc.storage.postgres.results import StoreResult
from scoresvc.storage.postgres.rules import PostRules


class PostBatch(NamedTuple):
    """The posts of a transaction."""

    posts: list[Post]  # by level; those to a level in the order in which they came
    ranked: list[Post]
    now: int | None  # Unix microseconds; None stands for the clock of the database
    rules: PostRules


# A ban waits for the posts that did not see it, see `acting.py`. Who waits for a level has this lock already.
LOCK_BANS = "SELECT pg_advisory_xact_lock_shared(7202)"

LOCK = """
INSERT INTO boards AS board (level_id, period, players, locked_at, latest_at)
SELECT level_id, 0, 0, now.at, now.at + posts - 1
  FROM unnest(%(levels)s::int[], %(counts)s::int[]) AS locked (level_id, posts)
 CROSS JOIN (SELECT coalesce(%(now)s::bigint,
                             (extract(epoch FROM statement_timestamp()) * 1000000)::bigint) AS at) AS now
 ORDER BY level_id
    ON CONFLICT (level_id, period)
       DO UPDATE SET locked_at = excluded.locked_at,
                     latest_at = greatest(excluded.latest_at,
                                          board.latest_at + 1 + excluded.latest_at - excluded.locked_at)
"""

PIN = """
INSERT INTO level_settings (level_id, settings)
SELECT level_id, %(pinned)s::jsonb
  FROM unnest(%(levels)s::int[]) AS level (level_id)
 WHERE NOT EXISTS (SELECT FROM scores WHERE scores.level_id = level.level_id)
 ORDER BY level_id
    ON CONFLICT (level_id) DO NOTHING
"""

# LOCK has set the same time for all levels, so those for which nothing is set have the same rules: `plain`. A row
# that comes to `scores` says in `previous` how it is kept (-1 best, -2 latest, -3 and -4 the sum, where more or less is
# better); there it gets what stood before, or stays negative.
STORE = """
  WITH plain AS MATERIALIZED (
       SELECT rule.*
         FROM boards
        CROSS JOIN LATERAL rules_at(NULL, %(defaults)s::jsonb, boards.locked_at) AS rule
        WHERE boards.level_id = (%(levels)s::int[])[1] AND boards.period = 0),
       level AS MATERIALIZED (
       SELECT locked.level_id, locked.first, locked.posts, boards.locked_at,
              boards.latest_at - posts >= boards.locked_at AS is_late, rule.*
         FROM unnest(%(levels)s::int[], %(firsts)s::int[], %(counts)s::int[]) AS locked (level_id, first, posts)
         JOIN boards ON boards.level_id = locked.level_id AND boards.period = 0
         LEFT JOIN level_settings AS own ON own.level_id = locked.level_id
        CROSS JOIN LATERAL (
              SELECT * FROM plain WHERE own.settings IS NULL
               UNION ALL
              SELECT *
                FROM rules_at(own.settings, %(defaults)s::jsonb, boards.locked_at)
               WHERE own.settings IS NOT NULL) AS rule),
       posted AS (
       SELECT level.*, place, each.user_id, each.score, turned.score AS turned, is_held, bans.hide,
              sum(each.score) FILTER (WHERE NOT is_held)
                              OVER (PARTITION BY level.level_id, each.user_id ORDER BY place) AS total
         FROM level
        CROSS JOIN LATERAL unnest((%(users)s::int[])[first + 1:first + posts],
                                  (%(scores)s::int[])[first + 1:first + posts])
                           WITH ORDINALITY AS each (user_id, score, place)
        CROSS JOIN LATERAL (SELECT CASE WHEN is_turned THEN 2147483647 - each.score
                                        ELSE each.score END AS score) AS turned
        CROSS JOIN LATERAL (SELECT coalesce(turned.score >= CASE WHEN is_turned THEN 2147483647 - hold
                                                                 ELSE hold END, false) AS is_held) AS holding
         LEFT JOIN bans ON bans.user_id = each.user_id),
       post AS MATERIALIZED (
       SELECT level_id, user_id, score, turned, total, is_turned, keep, periods, day, is_held, hide, place,
              (%(metas)s::text[])[first + place] AS meta,
              place - 1 + CASE WHEN is_late
                               THEN greatest(locked_at, (
                                    SELECT max(equal.reached_at) + 1
                                      FROM unnest(periods) AS board (period)
                                     CROSS JOIN LATERAL (
                                           SELECT max(reached_at) AS reached_at
                                             FROM scores
                                            WHERE level_id = posted.level_id
                                              AND period = board.period
                                              AND score = CASE WHEN keep <> 'sum' THEN turned ELSE (
                                                          SELECT kept_score(keep, is_turned, max(score), 0, 0, total)
                                                            FROM scores
                                                           WHERE level_id = posted.level_id
                                                             AND period = board.period
                                                             AND user_id = posted.user_id) END) AS equal))
                               ELSE locked_at END AS posted_at
         FROM posted),
       submitted AS (
       INSERT INTO submissions (level_id, user_id, score, posted_at, day, state, meta)
       SELECT level_id, user_id, score, posted_at, day, CASE WHEN is_held THEN 1 ELSE 0 END, meta
         FROM post
        WHERE hide IS NOT FALSE AND (is_held OR %(keeps_history)s)
        ORDER BY level_id, place),
       counted AS (
       SELECT DISTINCT ON (level_id, user_id)
              level_id, user_id, is_turned, keep, periods, turned, least(total, 2147483647) AS total, posted_at
         FROM post
        WHERE hide IS NULL AND NOT is_held
        ORDER BY level_id, user_id, CASE keep WHEN 'best' THEN turned ELSE place END DESC, place),
       stored AS (
       INSERT INTO scores AS stands (level_id, period, user_id, score, previous, reached_at)
       SELECT level_id, board.period, user_id,
              CASE WHEN keep <> 'sum' THEN turned WHEN is_turned THEN 2147483647 - total ELSE total END,
              CASE WHEN keep = 'best' THEN -1 WHEN keep = 'latest' THEN -2 WHEN is_turned THEN -4 ELSE -3 END,
              posted_at
         FROM counted
        CROSS JOIN LATERAL unnest(periods) AS board (period)
           ON CONFLICT (level_id, period, user_id)
              DO UPDATE SET score = CASE excluded.previous
                                    WHEN -3 THEN least(stands.score::bigint + excluded.score, 2147483647)
                                    WHEN -4 THEN greatest(stands.score::bigint + excluded.score - 2147483647, 0)
                                    ELSE excluded.score END,
                            previous = stands.score,
                            reached_at = excluded.reached_at
                      WHERE excluded.previous < -1 OR excluded.score > stands.score
    RETURNING level_id, period, user_id, score, CASE WHEN previous >= 0 THEN previous END AS previous),
       entered AS (
       INSERT INTO boards AS board (level_id, period, players)
       SELECT level_id, period, count(*)
         FROM stored
        WHERE previous IS NULL
        GROUP BY level_id, period
           ON CONFLICT (level_id, period)
              DO UPDATE SET players = board.players + excluded.players
    RETURNING board.level_id, board.period, board.players, board.narrowest),
       step (level_id, period, score, players) AS (
       SELECT level_id, period, score, 1 FROM stored
        UNION ALL
       SELECT level_id, period, previous, -1 FROM stored WHERE previous IS NOT NULL),
       moved AS (
       SELECT level_id, period, width, step.score / width AS band, sum(step.players) AS players
         FROM step
         JOIN boards USING (level_id, period)
         JOIN (VALUES (16777216), (65536), (256), (1)) AS digit (width) ON width >= narrowest
        WHERE narrowest < %(none)s
        GROUP BY level_id, period, width, band
       HAVING sum(step.players) <> 0),
       changed AS (
       SELECT level_id, period, width, band / 256 * 256 * width AS lowest_score,
              array_agg(band %% 256 + 1) AS places, array_agg(players) AS changes
         FROM moved
        GROUP BY level_id, period, width, lowest_score),
       recounted AS (
       UPDATE bands
          SET counts = add_counts(bands.counts, places, changes)
         FROM changed
        WHERE bands.level_id = changed.level_id
          AND bands.period = changed.period
          AND bands.width = changed.width
          AND bands.lowest_score = changed.lowest_score
    RETURNING bands.*, places, changes)
SELECT 'stored', level_id, period, user_id, previous
  FROM stored
 WHERE %(is_asked)s
 UNION ALL
SELECT 'banned', level_id, 0, user_id, 0
  FROM post
 WHERE hide = false
 UNION ALL
SELECT 'full', level_id, period, width, lowest_score + (place - 1) * width
  FROM recounted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
 UNION ALL
SELECT 'full', level_id, period, NULL, 0
  FROM entered
 WHERE players > %(full)s AND narrowest = %(none)s
"""

# Of a post that does not count, because it waits for an operator or its user's ban is hidden, the outcome is as if it
# did: the user's own score is not above it, and a first one is not among the players.
RANK = """
  WITH plain AS MATERIALIZED (
       SELECT rule.*
         FROM boards
        CROSS JOIN LATERAL rules_at(NULL, %(defaults)s::jsonb, boards.locked_at) AS rule
        WHERE boards.level_id = (%(levels)s::int[])[1] AND boards.period = 0)
SELECT post.place, rule.is_turned, rule.keep, rule.hold, rule.zone, is_held, bans.hide,
       counted.period, stands.score, best.score,
       rank_of(post.level_id, counted.period, best.score) - CASE WHEN stands.score > best.score THEN 1 ELSE 0 END,
       coalesce(board.players, 0) + CASE WHEN stands.score IS NULL THEN 1 ELSE 0 END
  FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[])
       WITH ORDINALITY AS post (level_id, user_id, score, place)
  JOIN boards AS level ON level.level_id = post.level_id AND level.period = 0
  LEFT JOIN level_settings AS own ON own.level_id = post.level_id
 CROSS JOIN LATERAL (
       SELECT * FROM plain WHERE own.settings IS NULL
        UNION ALL
       SELECT *
         FROM rules_at(own.settings, %(defaults)s::jsonb, level.locked_at)
        WHERE own.settings IS NOT NULL) AS rule
 CROSS JOIN LATERAL (SELECT CASE WHEN rule.is_turned THEN 2147483647 - post.score
                                 ELSE post.score END AS score) AS turned
 CROSS JOIN LATERAL (SELECT coalesce(turned.score >= CASE WHEN rule.is_turned THEN 2147483647 - rule.hold
                                                          ELSE rule.hold END, false) AS is_held) AS holding
  LEFT JOIN bans ON bans.user_id = post.user_id
 CROSS JOIN LATERAL unnest(rule.periods) AS counted (period)
  LEFT JOIN scores AS stands
    ON stands.level_id = post.level_id
   AND stands.period = counted.period
   AND stands.user_id = post.user_id
  LEFT JOIN boards AS board ON board.level_id = post.level_id AND board.period = counted.period
 CROSS JOIN LATERAL (
       SELECT CASE WHEN bans.hide IS NULL AND NOT is_held THEN stands.score
                   ELSE kept_score(rule.keep, rule.is_turned, stands.score, turned.score, turned.score, post.score)
              END AS score) AS best
 ORDER BY post.place, counted.period
"""


def send_batch(connection: Connection, batch: PostBatch) -> StoreResult:
    """Sends the statements of posts to any levels."""
    values = values_of(batch)
    connection.execute(LOCK_BANS)
    connection.execute(LOCK, values)
    if batch.rules.pinned:
        connection.execute(PIN, values)
    stored = connection.execute(STORE, values)
    ranks = connection.execute(RANK, values_of_ranked(batch)) if batch.ranked else None
    return StoreResult([stored], ranks)


def values_of(batch: PostBatch) -> dict[str, Any]:
    levels, firsts, counts = zip(*_slices(batch.posts), strict=True)
    return {
        "now": batch.now,
        "is_asked": bool(batch.ranked),
        "full": PLAYERS_MAX,
        "none": NO_BANDS,
        "levels": write_array(levels),
        "firsts": write_array(firsts),
        "counts": write_array(counts),
        "users": write_array([post.user_id for post in batch.posts]),
        "scores": write_array([post.score for post in batch.posts]),
        "metas": [post.meta for post in batch.posts] if any(post.meta for post in batch.posts) else None,
        **batch.rules._asdict(),
    }


def _slices(posts: Sequence[Post]) -> Iterator[tuple[int, int, int]]:
    """Yields each level with how many posts come before its own, and how many it has."""
    first = 0
    for place, post in enumerate(posts, 1):
        if place == len(posts) or posts[place].level_id != post.level_id:
            yield post.level_id, first, place - first
            first = place


def values_of_ranked(batch: PostBatch) -> dict[str, str]:
    return {
        "levels": write_array([post.level_id for post in batch.ranked]),
        "users": write_array([post.user_id for post in batch.ranked]),
        "scores": write_array([post.score for post in batch.ranked]),
        "defaults": batch.rules.defaults,
    }
