"""Many rows at once, for an import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scoresvc.rows import SubmissionRow
from scoresvc.storage.ledger import StoredScore, StoredSubmission
from scoresvc.storage.postgres.ledger import PostgresLedger
from scoresvc.storage.postgres.library import write_array
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, Band
from scoresvc.storage.rebuilding import Best
from scoresvc.storage.transfer_ledger import BoardKey, PostKey, UserOnLevel


class PostgresTransferLedger(PostgresLedger):
    """See `TransferLedger`."""

    def scores_at(self, keys: Iterable[BoardKey]) -> dict[BoardKey, Best]:
        levels, periods, users = _columns(keys, 3)
        rows = self._fetch(
            """
            SELECT level_id, period, user_id, score, reached_at
              FROM unnest(%(levels)s::int[], %(periods)s::int[], %(users)s::int[]) AS key (level_id, period, user_id)
              JOIN scores USING (level_id, period, user_id)
            """,
            {"levels": levels, "periods": periods, "users": users},
        )
        return _by_board(rows)

    def scores_of(self, users: Iterable[UserOnLevel]) -> dict[BoardKey, Best]:
        levels, user_ids = _columns(users, 2)
        rows = self._fetch(
            """
            SELECT level_id, period, user_id, score, reached_at
              FROM unnest(%(levels)s::int[], %(users)s::int[]) AS key (level_id, user_id)
              JOIN scores USING (level_id, user_id)
            """,
            {"levels": levels, "users": user_ids},
        )
        return _by_board(rows)

    def submissions_at(self, keys: Iterable[PostKey]) -> list[StoredSubmission]:
        levels, users, times = _columns(keys, 3)
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM unnest(%(levels)s::int[], %(users)s::int[], %(times)s::bigint[])
                   AS key (level_id, user_id, posted_at)
              JOIN submissions USING (level_id, user_id, posted_at)
            """,
            {"levels": levels, "users": users, "times": times},
        )
        return [StoredSubmission(*row) for row in rows]

    def submissions_of(self, users: Iterable[UserOnLevel]) -> list[StoredSubmission]:
        levels, user_ids = _columns(users, 2)
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM unnest(%(levels)s::int[], %(users)s::int[]) AS key (level_id, user_id)
              JOIN submissions USING (level_id, user_id)
             ORDER BY coalesce(follows, submission_id), follows IS NOT NULL, posted_at, submission_id
            """,
            {"levels": levels, "users": user_ids},
        )
        return [StoredSubmission(*row) for row in rows]

    def submission_rows(self, submission_ids: Iterable[int]) -> dict[int, SubmissionRow]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before,
                   follows
              FROM submissions
             WHERE submission_id = ANY (%(keys)s::bigint[])
            """,
            {"keys": write_array(submission_ids)},
        )
        return {row[0]: SubmissionRow(*row) for row in rows}

    def banned_among(self, user_ids: Iterable[int]) -> set[int]:
        rows = self._fetch(
            "SELECT user_id FROM bans WHERE user_id = ANY (%(keys)s::int[])", {"keys": write_array(user_ids)}
        )
        return {user_id for (user_id,) in rows}

    def put_scores(self, scores: Mapping[BoardKey, Best]) -> None:
        levels, periods, users, bests, times = _columns([(*key, *best) for key, best in scores.items()], 5)
        full = self._fetch(
            PUT_SCORES,
            {
                "levels": levels,
                "periods": periods,
                "users": users,
                "scores": bests,
                "times": times,
                "none": NO_BANDS,
                "full": PLAYERS_MAX,
            },
        )
        self.full.update(Band(*row) for row in full)
        self._come_later(scores)

    def _come_later(self, scores: Mapping[BoardKey, Best]) -> None:
        levels, times = _columns([(key[0], best[1]) for key, best in scores.items()], 2)
        self._fetch(
            """
            UPDATE boards
               SET latest_at = greatest(latest_at, latest.reached_at)
              FROM (SELECT level_id, max(reached_at) AS reached_at
                      FROM unnest(%(levels)s::int[], %(times)s::bigint[]) AS score (level_id, reached_at)
                     GROUP BY level_id) AS latest
             WHERE boards.level_id = latest.level_id AND boards.period = 0
            RETURNING boards.level_id
            """,
            {"levels": levels, "times": times},
        )

    def insert_submissions(self, rows: Sequence[SubmissionRow]) -> None:
        if not rows:
            return
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO submissions (submission_id, level_id, user_id, score, posted_at, day, state, meta,
                                         action_id, state_before, follows)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                rows,
            )
        self._fetch(
            """
            SELECT setval(sequence, greatest(%(highest)s, nextval(sequence) - 1))
              FROM pg_get_serial_sequence('submissions', 'submission_id') AS sequence
            """,
            {"highest": max(row.submission_id for row in rows)},
        )

    def lock_levels(self, level_ids: Iterable[int]) -> None:
        for level_id in sorted(level_ids):
            self.lock_level(level_id)


class DistributedTransferLedger(PostgresTransferLedger):
    """For a database on several servers, which have no statement for scores on many boards."""

    def put_scores(self, scores: Mapping[BoardKey, Best]) -> None:
        for (level_id, period, user_id), best in scores.items():
            self.put_score(level_id, StoredScore(period, user_id, *best))
        self._come_later(scores)


def _columns(rows: Iterable[tuple[int, ...]], count: int) -> list[str]:
    """Returns the columns of rows as arrays."""
    rows = list(rows)
    return [write_array([row[place] for row in rows]) for place in range(count)]


def _by_board(rows: Iterable[tuple[Any, ...]]) -> dict[BoardKey, Best]:
    return {(level_id, period, user_id): (score, reached_at) for level_id, period, user_id, score, reached_at in rows}


# As posts do it, see STORE in posting.py: the score before is kept in `previous`, or a negative number.
PUT_SCORES = """
  WITH stored AS (
       INSERT INTO scores AS stands (level_id, period, user_id, score, previous, reached_at)
       SELECT level_id, period, user_id, score, -1, reached_at
         FROM unnest(%(levels)s::int[], %(periods)s::int[], %(users)s::int[], %(scores)s::int[], %(times)s::bigint[])
              AS put (level_id, period, user_id, score, reached_at)
           ON CONFLICT (level_id, period, user_id)
              DO UPDATE SET score = excluded.score,
                            previous = stands.score,
                            reached_at = excluded.reached_at
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
SELECT level_id, period, width, lowest_score + (place - 1) * width
  FROM recounted
 CROSS JOIN unnest(places, changes) AS change (place, players)
 WHERE width > 1 AND counts[place] / %(full)s > (counts[place] - change.players) / %(full)s
 UNION ALL
SELECT level_id, period, NULL, 0
  FROM entered
 WHERE players > %(full)s AND narrowest = %(none)s
"""
