"""Scores: what each user has posted to each level, and what stands of it.

Theory of operation: the statements of all posts of a batch go in one transaction, and none depends on an answer to
another. LOCK takes the rows of the levels, in the order of their numbers so that no two nodes wait for each other, and
makes those that are new. From there on the levels are ours: what is read stays true until the commit. LOCK also hands
out the times of the posts: the row keeps that of the latest one, and the posts of a batch get those up to it, so they
rise within a level over all nodes, even where a clock stands still or jumps back. PIN settles by which order and
keeping a new level ranks, where [levels] has others than the built-in ones.

STORE finds the settings of each level, by which its posts count on the boards of which periods, adds the posts to the
submissions, stores what they come to, and counts who enters a board and between which bands the others move. Settings
and bans are read there and nowhere before, so they hold on all nodes from the moment in which they are set. A post of
a user who is banned comes back as such, and a hidden ban keeps it from the boards. PREVIOUS and RANK read what was and
what became of the posts whose outcome is asked for. A database that is distributed needs other statements: see
`distributed.py`.

The posts of a user to a level are counted as one, because ON CONFLICT cannot touch a row twice. A band or a board that
has grown is divided after the posts are acknowledged; what keeps a node from that, such as its death, is made up for
when another 1,024 players have come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from scoresvc.errors import Banned
from scoresvc.levels import LevelSettings
from scoresvc.scores import PostResult
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.library import write_array
from scoresvc.storage.postgres.outcomes import Outcome, Outcomes, Post, Previous, Ranked
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, Band, divide
from scoresvc.storage.postgres.rules import write_defaults, write_pinned
from scoresvc.storage.postgres.transactions import PipelinedChange, SentChange
from scoresvc.storage.postgres.workers import Writers
from scoresvc.storage.write import Write


def level_of(row: object) -> int | None:
    """Returns the level of a post, None for a row of another change."""
    return row.level_id if isinstance(row, Post) else None


class PostBatch(NamedTuple):
    """The posts of a transaction."""

    posts: list[Post]  # by level; those to a level in the order in which they came
    ranked: list[Post]
    now: int | None  # Unix microseconds; None stands for the clock of the database
    rules: PostRules


class PostRules(NamedTuple):
    """How posts count where nothing is set for a level."""

    defaults: str  # as JSON
    pinned: str  # what is to be set for a new level, as JSON; empty: nothing
    keeps_history: bool


def make_post_rules(defaults: LevelSettings, keeps_history: bool) -> PostRules:
    return PostRules(write_defaults(defaults), write_pinned(defaults), keeps_history)


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

PREVIOUS = """
SELECT scores.level_id, scores.user_id, scores.period, scores.score
  FROM unnest(%(levels)s::int[], %(users)s::int[]) AS post (level_id, user_id)
  JOIN boards ON boards.level_id = post.level_id AND boards.period = 0
  LEFT JOIN level_settings AS own ON own.level_id = post.level_id
 CROSS JOIN LATERAL rules_at(own.settings, %(defaults)s::jsonb, boards.locked_at) AS rule
 CROSS JOIN LATERAL unnest(rule.periods) AS counted (period)
  JOIN scores
    ON scores.level_id = post.level_id
   AND scores.period = counted.period
   AND scores.user_id = post.user_id
"""

# LOCK has set the same time for all levels of the batch, so those for which nothing is set have the same rules: `plain`.
# Of a user's posts to a level, `best` is the highest score and the earliest place that has it, `latest` the last place
# and its score, each in one number. A row that comes to `scores` says in `previous` how it is kept (-1 best, -2 latest,
# -3 and -4 the sum, where more or less is better); there it gets what stood before, or stays negative.
STORE = """
  WITH plain AS MATERIALIZED (
       SELECT rule.*
         FROM boards
        CROSS JOIN LATERAL rules_at(NULL, %(defaults)s::jsonb, boards.locked_at) AS rule
        WHERE boards.level_id = (%(levels)s::int[])[1] AND boards.period = 0),
       level AS MATERIALIZED (
       SELECT locked.level_id, locked.first, locked.posts, boards.latest_at - locked.posts AS before_at, rule.*
         FROM unnest(%(levels)s::int[], %(firsts)s::int[], %(counts)s::int[]) AS locked (level_id, first, posts)
         JOIN boards ON boards.level_id = locked.level_id AND boards.period = 0
         LEFT JOIN level_settings AS own ON own.level_id = locked.level_id
        CROSS JOIN LATERAL (
              SELECT * FROM plain WHERE own.settings IS NULL
               UNION ALL
              SELECT *
                FROM rules_at(own.settings, %(defaults)s::jsonb, boards.locked_at)
               WHERE own.settings IS NOT NULL) AS rule),
       post AS MATERIALIZED (
       SELECT level.*, place, posted.user_id, posted.score, turned.score AS turned,
              coalesce(turned.score >= CASE WHEN is_turned THEN 2147483647 - hold ELSE hold END, false) AS is_held,
              bans.hide
         FROM level
        CROSS JOIN LATERAL generate_series(1, posts) AS place
        CROSS JOIN LATERAL (SELECT (%(users)s::int[])[first + place] AS user_id,
                                   (%(scores)s::int[])[first + place] AS score) AS posted
        CROSS JOIN LATERAL (SELECT CASE WHEN is_turned THEN 2147483647 - posted.score
                                        ELSE posted.score END AS score) AS turned
         LEFT JOIN bans ON bans.user_id = posted.user_id),
       submitted AS (
       INSERT INTO submissions (level_id, user_id, score, posted_at, day, state)
       SELECT level_id, user_id, score, before_at + place, day, CASE WHEN is_held THEN 1 ELSE 0 END
         FROM post
        WHERE hide IS NOT FALSE AND (is_held OR %(keeps_history)s)
        ORDER BY level_id, place),
       counted AS (
       SELECT level_id, user_id, before_at, is_turned, keep, periods,
              max(turned * 65536::bigint + 65535 - place) AS best,
              max(place * 2147483648 + turned) AS latest,
              least(sum(score), 2147483647) AS total
         FROM post
        WHERE hide IS NULL AND NOT is_held
        GROUP BY level_id, user_id, before_at, is_turned, keep, periods),
       stored AS (
       INSERT INTO scores AS stands (level_id, period, user_id, score, previous, reached_at)
       SELECT level_id, board.period, user_id,
              CASE WHEN keep = 'best' THEN best / 65536
                   WHEN keep = 'latest' THEN latest %% 2147483648
                   WHEN is_turned THEN 2147483647 - total
                   ELSE total END,
              CASE WHEN keep = 'best' THEN -1 WHEN keep = 'latest' THEN -2 WHEN is_turned THEN -4 ELSE -3 END,
              before_at + CASE WHEN keep = 'best' THEN 65535 - best %% 65536 ELSE latest / 2147483648 END
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
SELECT post.place, rule.is_turned, rule.keep, rule.hold, rule.zone,
       turned.score >= CASE WHEN rule.is_turned THEN 2147483647 - rule.hold ELSE rule.hold END, bans.hide,
       counted.period, stands.score, best.score,
       rank_of(post.level_id, counted.period, best.score) - CASE WHEN stands.score > best.score THEN 1 ELSE 0 END,
       coalesce(board.players, 0) + CASE WHEN stands.score IS NULL THEN 1 ELSE 0 END
  FROM unnest(%(levels)s::int[], %(users)s::int[], %(scores)s::int[])
       WITH ORDINALITY AS post (level_id, user_id, score, place)
  JOIN boards AS level ON level.level_id = post.level_id AND level.period = 0
  LEFT JOIN level_settings AS own ON own.level_id = post.level_id
 CROSS JOIN LATERAL rules_at(own.settings, %(defaults)s::jsonb, level.locked_at) AS rule
 CROSS JOIN LATERAL (SELECT CASE WHEN rule.is_turned THEN 2147483647 - post.score
                                 ELSE post.score END AS score) AS turned
  LEFT JOIN bans ON bans.user_id = post.user_id
 CROSS JOIN LATERAL unnest(rule.periods) AS counted (period)
  LEFT JOIN scores AS stands
    ON stands.level_id = post.level_id
   AND stands.period = counted.period
   AND stands.user_id = post.user_id
  LEFT JOIN boards AS board ON board.level_id = post.level_id AND board.period = counted.period
 CROSS JOIN LATERAL (
       SELECT CASE WHEN bans.hide IS NULL
                    AND (rule.hold IS NULL
                         OR turned.score < CASE WHEN rule.is_turned THEN 2147483647 - rule.hold ELSE rule.hold END)
                   THEN stands.score
                   ELSE kept_score(rule.keep, rule.is_turned, stands.score, turned.score, turned.score, post.score)
              END AS score) AS best
 ORDER BY post.place, counted.period
"""


class PipelinedScores:
    """Posts scores, see `ScoreStore`; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(
        self,
        workers: Writers,
        clock: Callable[[], float] | None,
        send: Callable[[Connection, PostBatch], StoreResult],
        rules: PostRules,
        tells_held: bool,
    ) -> None:
        self._workers = workers
        self._clock = clock
        self._send_batch = send
        self._rules = rules
        self._tells_held = tells_held
        self._change = PipelinedChange("post", self._send)

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=False), _nothing)

    def post_and_rank(self, level_id: int, user_id: int, score: int) -> Write[PostResult]:
        return self._workers.begin(self._change, Post(level_id, user_id, score, is_ranked=True), self._make_result)

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


def _level_of_post(post: Post) -> int:
    return post.level_id


def send_batch(connection: Connection, batch: PostBatch) -> StoreResult:
    """Sends the statements of posts to any levels."""
    values, ranked = values_of(batch), values_of_ranked(batch)
    connection.execute(LOCK_BANS)
    connection.execute(LOCK, values)
    if batch.rules.pinned:
        connection.execute(PIN, values)
    previous = connection.execute(PREVIOUS, ranked) if batch.ranked else None
    stored = connection.execute(STORE, values)
    ranks = connection.execute(RANK, ranked) if batch.ranked else None
    return StoreResult([stored], previous, ranks)


def values_of(batch: PostBatch) -> dict[str, Any]:
    levels, firsts, counts = zip(*_slices(batch.posts), strict=True)
    return {
        "now": batch.now,
        "full": PLAYERS_MAX,
        "none": NO_BANDS,
        "levels": write_array(levels),
        "firsts": write_array(firsts),
        "counts": write_array(counts),
        "users": write_array([post.user_id for post in batch.posts]),
        "scores": write_array([post.score for post in batch.posts]),
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


class Rows(Protocol):
    """A cursor, or what was fetched of one."""

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class StoreResult:
    """What the statements of a batch gave back, once it is committed."""

    def __init__(self, stored: Sequence[Rows], previous: Rows | None, ranks: Rows | None) -> None:
        """Of rows ('banned', level, 0, user, 0) and ('full', level, period, width, lowest score).

        And of rows as Previous and Ranked for the posts whose outcome is asked for.
        """
        self._stored = stored
        self._previous = previous
        self._ranks = ranks
        self._full: list[Band] = []

    def outcomes(self, posts: Sequence[Post]) -> list[Outcome]:
        """Returns what became of each post, with what stands and the rank as they are at the end of the batch."""
        banned: set[tuple[int, int]] = set()  # level, user
        for kind, level_id, period, number, lowest_score in [row for each in self._stored for row in each.fetchall()]:
            if kind == "banned":
                banned.add((level_id, number))
            else:
                self._full.append(Band(level_id, period, number, lowest_score))
        previous = [Previous._make(row) for row in self._previous.fetchall()] if self._previous else []
        ranked = [Ranked._make(row) for row in self._ranks.fetchall()] if self._ranks else []
        outcomes = Outcomes([post for post in posts if post.is_ranked], previous, ranked)
        told = [(post, outcomes.of(post)) for post in posts]
        return [Banned() if (post.level_id, post.user_id) in banned else outcome for post, outcome in told]

    def divide_full(self, connection: Connection) -> None:
        """Divides the bands that these posts have filled, and the boards, which are rows without a width."""
        for band in self._full:
            divide(connection, band)


def _nothing(outcome: Outcome) -> None:
    if isinstance(outcome, Banned):
        raise outcome
