"""Posts and logins, which the writer stores in one SQL statement.

Theory of operation: a thread gives up the interpreter's lock for each SQL statement. While the event loop is busy it
waits up to a millisecond to have it back, for the loop is without it only for moments: a batch with a statement for
BEGIN, posts, logins and COMMIT lasts twice as long as one with a single statement, which is a transaction by itself.
No statement of SQLite writes to two tables, but a trigger may. So the writing connection has a view, `appends`, which
holds nothing; a row that is inserted there is a whole batch. View and trigger are in the connection's own schema TEMP.

A post is a row of `submissions`, where history is kept, and one of `bests`, `latests`, `sums` or `turned_sums` for each
board that it counts on, all with the same time: that of the batch plus the post's place in it. The time orders equal
scores. So where some score may be stored with a later time, because the clock stands still or has jumped back, the
trigger refuses the batch, and it is stored with times later than those of the equal scores on its boards, see
late_times.py: that takes a transaction of some statements. `latest_post` has the latest time of all posts to tell that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from scoresvc.actions import HELD, STANDS
from scoresvc.levels import LevelSettings
from scoresvc.periods import ALL, day_at, periods_at
from scoresvc.storage.ledger import turn
from scoresvc.storage.sqlite.late_times import late_times
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Post
from scoresvc.storage.sqlite.rules import Rules

POST, LOG_IN = "post", "log_in"  # names of the changes

NewSession = tuple[bytes, int, float]  # the SHA-256 of the key, the user, when it expires in Unix seconds
Counted = tuple[int, int, int, int, int]  # on a board: level, period, user, turned score, time
Submitted = tuple[int, int, int, int, int, int, str | None]  # level, user, score, time, day, state, meta

LATE = "late"  # what the trigger says of posts that some score may be later than


class Batch(NamedTuple):
    """What is to be stored of posts; times in Unix microseconds."""

    pins: dict[int, str]  # what is to be set for levels from now on, as JSON
    submissions: list[Submitted]
    counted: dict[str, list[Counted]]  # by how the boards are kept


VIEW = """
    CREATE TEMP VIEW appends (first_at, last_at, pins, submissions, bests, latests, sums, turned_sums, hashes, sessions,
                              per_user)
    AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
"""
# JSON has no bytes: the hashes of the sessions are one blob. A user who is banned reaches no board.
TRIGGER = """
    CREATE TEMP TRIGGER append INSTEAD OF INSERT ON appends BEGIN
        SELECT raise(ABORT, 'late') FROM latest_post WHERE accepted_at >= NEW.first_at;

        UPDATE latest_post SET accepted_at = max(accepted_at, NEW.last_at) WHERE NEW.last_at IS NOT NULL;

        INSERT INTO level_settings (level_id, settings)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
          FROM json_each(NEW.pins)
         WHERE true
        ON CONFLICT (level_id)
          DO NOTHING;

        INSERT INTO submissions (level_id, user_id, score, posted_at, day, state, meta)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
               json_extract(value, '$[6]')
          FROM json_each(NEW.submissions);

        INSERT INTO scores (level_id, period, user_id, score, reached_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]')
          FROM json_each(NEW.bests)
         WHERE json_extract(value, '$[2]') NOT IN (SELECT user_id FROM bans)
        ON CONFLICT (level_id, period, user_id)
          DO UPDATE SET score = excluded.score,
                        reached_at = excluded.reached_at
                  WHERE excluded.score > scores.score;

        INSERT INTO scores (level_id, period, user_id, score, reached_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]')
          FROM json_each(NEW.latests)
         WHERE json_extract(value, '$[2]') NOT IN (SELECT user_id FROM bans)
        ON CONFLICT (level_id, period, user_id)
          DO UPDATE SET score = excluded.score,
                        reached_at = excluded.reached_at;

        INSERT INTO scores (level_id, period, user_id, score, reached_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]')
          FROM json_each(NEW.sums)
         WHERE json_extract(value, '$[2]') NOT IN (SELECT user_id FROM bans)
        ON CONFLICT (level_id, period, user_id)
          DO UPDATE SET score = min(2147483647, scores.score + excluded.score),
                        reached_at = excluded.reached_at;

        INSERT INTO scores (level_id, period, user_id, score, reached_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]')
          FROM json_each(NEW.turned_sums)
         WHERE json_extract(value, '$[2]') NOT IN (SELECT user_id FROM bans)
        ON CONFLICT (level_id, period, user_id)
          DO UPDATE SET score = max(0, scores.score + excluded.score - 2147483647),
                        reached_at = excluded.reached_at;

        INSERT INTO sessions (key_hash, user_id, expires_at)
        SELECT substr(NEW.hashes, 32 * key + 1, 32), json_extract(value, '$[0]'), json_extract(value, '$[1]')
          FROM json_each(NEW.sessions);

        DELETE FROM sessions
         WHERE key_hash IN (
               SELECT key_hash
                 FROM (SELECT key_hash,
                              row_number() OVER (PARTITION BY user_id ORDER BY key_hash IN (
                                                 SELECT substr(NEW.hashes, 32 * key + 1, 32)
                                                   FROM json_each(NEW.sessions)) DESC, expires_at DESC) AS place
                         FROM sessions
                        WHERE user_id IN (SELECT json_extract(value, '$[0]')
                                            FROM json_each(NEW.sessions)
                                           WHERE (SELECT count(*)
                                                    FROM sessions AS own
                                                   WHERE own.user_id = json_extract(value, '$[0]')) > NEW.per_user))
                WHERE place > NEW.per_user);
    END
"""


def create_view(connection: sqlite3.Connection) -> None:
    """To be called once for the connection that writes."""
    connection.execute(VIEW)
    connection.execute(TRIGGER)


class Appends:
    """Stores posts and new sessions; `clock` returns Unix seconds.

    Who reaches a score later comes later on the board, even where the clock stands still or jumps back: only then is
    a time later than the clock says. Submissions are kept where `keeps_history`. Of a user's sessions the newest
    `per_user` stay.
    """

    def __init__(self, clock: Callable[[], float], rules: Rules, keeps_history: bool, per_user: int) -> None:
        self._clock = clock
        self._rules = rules
        self._keeps_history = keeps_history
        self._per_user = per_user

    def store(self, connection: sqlite3.Connection, rows: Mapping[str, Sequence[Any]]) -> dict[str, list[bool]]:
        """Stores the posts and the new sessions among `rows`, which are by name of the change.

        Returns for each row whether it may have changed a board.
        """
        posts: Sequence[Post] = rows.get(POST, ())
        sessions: Sequence[NewSession] = rows.get(LOG_IN, ())
        now = int(self._clock() * 1_000_000)
        has_changed = self._insert(connection, now, posts, sessions)
        return {POST: [has_changed] * len(posts), LOG_IN: [True] * len(sessions)}

    def _insert(
        self, connection: sqlite3.Connection, now: int, posts: Sequence[Post], sessions: Sequence[NewSession]
    ) -> bool:
        times = range(now, now + len(posts))
        try:
            return self._insert_at(connection, now, times, posts, sessions, now if posts else None)
        except sqlite3.IntegrityError as error:
            if str(error) != LATE:
                raise
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")  # what is read stays so; Transactions commits
        counted = self._read_batch(posts, times, now).counted
        late = late_times(connection, now, times, counted)
        return self._insert_at(connection, now, late, posts, sessions, None)

    def _insert_at(
        self,
        connection: sqlite3.Connection,
        now: int,
        times: Sequence[int],
        posts: Sequence[Post],
        sessions: Sequence[NewSession],
        first_at: int | None,
    ) -> bool:
        """Inserts posts with their times; refused as LATE where there may be a score not before `first_at`."""
        batch = self._read_batch(posts, times, now)
        before = connection.total_changes
        connection.execute(
            """
            INSERT INTO appends (first_at, last_at, pins, submissions, bests, latests, sums, turned_sums, hashes,
                                 sessions, per_user)
            VALUES (:first_at, :last_at, :pins, :submissions, :best, :latest, :sum, :turned_sum, :hashes, :sessions,
                    :per_user)
            """,
            {
                "first_at": first_at,
                "last_at": max(times, default=None),
                **_columns_of(batch, sessions),
                "per_user": self._per_user,
            },
        )
        # What a trigger does is in no `rowcount`. The time of the latest post changes, too.
        return connection.total_changes - before > len(batch.submissions) + len(sessions) + (1 if posts else 0)

    def _read_batch(self, posts: Sequence[Post], times: Sequence[int], now: int) -> Batch:
        """Returns what posts count for on which boards, with their times; `now` says in which periods."""
        if self._rules.are_absent():
            return self._read_plain_batch(posts, times, now)
        batch = Batch({}, [], {"best": [], "latest": [], "sum": [], "turned_sum": []})
        for (level_id, user_id, score, meta), time in zip(posts, times, strict=True):
            settings, pinned = self._rules.of_level(level_id)
            if pinned:
                batch.pins[level_id] = pinned
            held = is_held(settings, score)
            if self._keeps_history or held:
                state = HELD if held else STANDS
                batch.submissions.append((level_id, user_id, score, time, day_at(settings, now), state, meta))
            if not held:
                turned = turn(score, settings.order)
                boards = batch.counted[_keeping(settings)]
                boards.append((level_id, ALL, user_id, turned, time))
                for period in periods_at(settings, now) if settings.periods else ():
                    boards.append((level_id, period.number, user_id, turned, time))
        return batch

    def _read_plain_batch(self, posts: Sequence[Post], times: Sequence[int], now: int) -> Batch:
        """As `_read_batch`, where there are no rules."""
        best = [
            (level_id, ALL, user_id, score, time)
            for (level_id, user_id, score, _), time in zip(posts, times, strict=True)
        ]
        submissions = []
        if self._keeps_history:
            day = day_at(self._rules.defaults, now)
            submissions = [
                (level_id, user_id, score, time, day, STANDS, meta)
                for (level_id, user_id, score, meta), time in zip(posts, times, strict=True)
            ]
        return Batch({}, submissions, {"best": best, "latest": [], "sum": [], "turned_sum": []})

    def store_posts(self, connection: sqlite3.Connection, posts: list[Post]) -> list[bool]:
        return self.store(connection, {POST: posts})[POST]

    def store_post(self, connection: sqlite3.Connection, post: Post, now: int) -> None:
        """Stores one that comes at a time in Unix microseconds."""
        self._insert(connection, now, [post], [])

    def store_sessions(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> list[bool]:
        return self.store(connection, {LOG_IN: sessions})[LOG_IN]


def is_held(settings: LevelSettings, score: int) -> bool:
    """Returns whether a score is so good that it waits for an operator."""
    return settings.hold is not None and turn(score, settings.order) >= turn(settings.hold, settings.order)


def _keeping(settings: LevelSettings) -> str:
    """Returns the name of the statement that keeps the level's boards."""
    return "turned_sum" if settings.keep == "sum" and settings.order == "asc" else settings.keep


def _columns_of(batch: Batch, sessions: Sequence[NewSession]) -> dict[str, Any]:
    return {
        "pins": _write(list(batch.pins.items())),
        "submissions": _write(batch.submissions),
        **{keep: _write(each) for keep, each in batch.counted.items()},
        "hashes": b"".join([key_hash for key_hash, _, _ in sessions]),
        "sessions": _write([(user_id, expires_at) for _, user_id, expires_at in sessions]),
    }


def _write(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
