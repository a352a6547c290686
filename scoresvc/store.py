"""What the service knows of sessions and scores: one method per question, with its SQL inside."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from scoresvc import board
from scoresvc.board import Entry, LevelScore, Standing
from scoresvc.changes import Changes
from scoresvc.config import Config
from scoresvc.cursors import Cursors, Place
from scoresvc.database import Database
from scoresvc.errors import StartError, Unavailable
from scoresvc.migrate import migrate
from scoresvc.sqlite import sqlite3
from scoresvc.writer import OneStatement, Write

KEY_BYTES = 20  # 160 random bits: 32 letters and digits in base 32
PURGE_INTERVAL = 10.0  # seconds
MEMORY_AGE_MAX = 1.0  # seconds; then a change made by hand in the database shows, too
MEMORY_SESSION_AGE_MAX = 10.0  # seconds; the same for a session, which nothing but its end changes
MEMORY_LEVELS_MAX = 10_000
MEMORY_LIMIT_MAX = 15  # entries of a page that is remembered
MEMORY_SESSIONS_MAX = 20_000
PURGE_SLICE = 200  # sessions in one transaction

K = TypeVar("K")
V = TypeVar("V")

log = logging.getLogger("scoresvc.store")


class Session(NamedTuple):
    user_id: int
    key: str  # 32 letters and digits
    expires_at: float  # Unix seconds


class NewSession(NamedTuple):
    key_hash: bytes  # the SHA-256 of the key
    user_id: int
    expires_at: float  # Unix seconds


class Post(NamedTuple):
    """What came of a post, as it was when it was made."""

    improved: bool
    best: int
    previous: int | None  # the best before it
    rank: int
    players: int  # of the level


class Board(NamedTuple):
    """Some of the entries of a level, in its order."""

    level_id: int
    players: int  # of the whole level
    entries: tuple[Entry, ...]
    next: str | None  # the cursor of what follows, None where nothing does


class UserStandings(NamedTuple):
    user_id: int
    standings: list[Standing]  # by level


@dataclass(frozen=True)
class Remembered(Generic[V]):
    """What was read of a level."""

    value: V
    mark: int  # of the level, see Changes
    read_at: float  # of time.monotonic, in seconds


class RememberedSession(NamedTuple):
    user_id: int
    expires_at: float  # Unix seconds
    read_at: float  # of time.monotonic, in seconds


class Store:
    """Answers and keeps what the calls ask for; numbers that come in are right, 0 to 2147483647.

    `lifetime` is how long a session key is good, in seconds; with `one_per_user`
    a login ends the user's earlier sessions. `clock` returns Unix seconds.
    Every method raises Unavailable where the database cannot serve it.
    """

    def __init__(
        self,
        database: Database,
        lifetime: int = 600,
        one_per_user: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._one_per_user = one_per_user
        self._clock = clock
        self._keep_post = OneStatement(self._keep_scores)
        ((cursor_key,),) = database.read("SELECT key FROM cursor_key", {})
        self._cursors = Cursors(cursor_key)
        self._changes = Changes(database.path.with_name(f"{database.path.name}.changes"))
        self._lists: dict[int, Remembered[str]] = {}
        self._boards: dict[tuple[int, int], Remembered[Board]] = {}  # by level and limit
        self._sessions: dict[str, RememberedSession] = {}
        self._now = 0  # Unix microseconds; rises with every post, whatever the clock does
        self._closing = threading.Event()
        self._purger = threading.Thread(target=self._purge_in_turn, name="scoresvc-purger", daemon=True)
        self._purger.start()

    def log_in(self, user_id: int) -> Write[Session]:
        """Begins a session."""
        key = base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
        session = Session(user_id, key, self._clock() + self._lifetime)
        new = NewSession(_hash(key), user_id, session.expires_at)
        return self._database.begin(self._keep_sessions, new, lambda kept: session)

    def _keep_sessions(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> list[None]:
        if self._one_per_user:
            for session in sessions:
                self._end_sessions(connection, session.user_id)
                self._insert_sessions(connection, [session])
        else:
            self._insert_sessions(connection, sessions)
        return [None] * len(sessions)

    def _end_sessions(self, connection: sqlite3.Connection, user_id: int) -> None:
        connection.execute("DELETE FROM sessions WHERE user_id = :user_id", {"user_id": user_id})

    def _insert_sessions(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> None:
        """In one statement, as the scores are; JSON has no bytes, so the hashes come in one piece."""
        connection.execute(
            """
            INSERT INTO sessions (key_hash, user_id, expires_at)
            SELECT substr(:hashes, 32 * key + 1, 32), json_extract(value, '$[0]'), json_extract(value, '$[1]')
              FROM json_each(:sessions)
            """,
            {
                "hashes": b"".join([session.key_hash for session in sessions]),
                "sessions": json.dumps([(session.user_id, session.expires_at) for session in sessions]),
            },
        )

    def session_user(self, key: str) -> int | None:
        """Returns whose session `key` is, None where it is unknown or has ended."""
        now = time.monotonic()
        session = self._sessions.get(key)
        if session is None or now - session.read_at > MEMORY_SESSION_AGE_MAX:
            session = self._read_session(key, now)
        return session.user_id if session and session.expires_at > self._clock() else None

    def _read_session(self, key: str, now: float) -> RememberedSession | None:
        rows = self._database.read(
            """
            SELECT user_id, expires_at
              FROM sessions
             WHERE key_hash = :key_hash
            """,
            {"key_hash": _hash(key)},
        )
        if not rows:
            return None
        ((user_id, expires_at),) = rows
        session = RememberedSession(user_id, expires_at, now)
        if not self._one_per_user:  # else another process may end it at any time
            _remember(self._sessions, key, session, MEMORY_SESSIONS_MAX)
        return session

    def post_score(self, level_id: int, user_id: int, score: int) -> Write[None]:
        """Begins to keep `score` where it is the user's best on the level; on disk when the write has ended.

        Who reaches a score later comes later in the list, even where the clock stands still or jumps back.
        """

        def note(may_have_changed: bool) -> None:
            if may_have_changed:
                self._changes.note(level_id)

        return self._database.begin(self._keep_post, (level_id, user_id, score), note)

    def _keep_scores(self, connection: sqlite3.Connection, posts: list[tuple[int, int, int]]) -> list[bool]:
        """Returns for each whether it may have changed the level.

        All in one statement: Python's lock is given up once, not once a post. The statement reads
        before it writes, so that the posts are told apart by their place in the batch.
        """
        now = max(int(self._clock() * 1_000_000), self._now)
        self._now = now + len(posts)
        changed = connection.execute(
            """
            INSERT INTO scores (level_id, user_id, score, reached_at)
            SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                   key + max(:now, (SELECT coalesce(max(reached_at) + 1, 0)
                                      FROM scores
                                     WHERE level_id = json_extract(value, '$[0]')
                                       AND score = json_extract(value, '$[2]')))
              FROM json_each(:posts)
             WHERE true
            ON CONFLICT (level_id, user_id)
              DO UPDATE SET score = excluded.score,
                            reached_at = excluded.reached_at
                      WHERE excluded.score > scores.score
            """,
            {"posts": json.dumps(posts), "now": now},
        ).rowcount
        return [changed > 0] * len(posts)

    def post_score_and_rank(self, level_id: int, user_id: int, score: int) -> Write[Post]:
        """As `post_score`; the result is what came of it."""

        def note(post: Post) -> Post:
            if post.improved:
                self._changes.note(level_id)
            return post

        return self._database.begin(self._keep_and_rank, (level_id, user_id, score), note)

    def _keep_and_rank(self, connection: sqlite3.Connection, posts: list[tuple[int, int, int]]) -> list[Post]:
        return [self._keep_and_rank_one(connection, *post) for post in posts]

    def _keep_and_rank_one(self, connection: sqlite3.Connection, level_id: int, user_id: int, score: int) -> Post:
        before = board.read_standing(connection, level_id, user_id)
        if before and before.score >= score:
            return Post(False, before.score, before.score, before.rank, before.players)
        self._keep_scores(connection, [(level_id, user_id, score)])
        rank, players = board.rank_of(connection, level_id, score), board.players_of(connection, level_id)
        return Post(True, score, before and before.score, rank, players)

    def high_scores(self, level_id: int) -> str:
        """Returns the best 15 of a level as `<userid>=<score>,…`: highest first, of equal ones who was first."""
        return self._recall(self._lists, level_id, level_id, self._read_high_scores)

    def _read_high_scores(self, level_id: int) -> str:
        """Python's lock is given up for each row that is fetched, so SQLite makes one of them all."""
        ((text,),) = self._database.read(
            """
            SELECT coalesce(group_concat(user_id || '=' || score), '')
              FROM (SELECT user_id, score
                      FROM scores
                     WHERE level_id = :level_id
                     ORDER BY score DESC, reached_at
                     LIMIT 15)
            """,
            {"level_id": level_id},
        )
        return str(text)

    def page(self, level_id: int, limit: int, after: str | None) -> Board:
        """Returns at most `limit` entries that follow the cursor `after`, or the first. Raises BadCursor."""
        if after is not None:
            return self._read_page(level_id, limit, self._cursors.read(level_id, after))
        read = partial(self._read_page, limit=limit, after=board.TOP)
        if limit > MEMORY_LIMIT_MAX:
            return read(level_id)
        return self._recall(self._boards, (level_id, limit), level_id, read)

    def _read_page(self, level_id: int, limit: int, after: Place) -> Board:
        with self._database.snapshot() as connection:
            return self._board(level_id, board.read_page(connection, level_id, after, limit))

    def board_of_users(self, level_id: int, user_ids: Sequence[int]) -> Board:
        """Returns those of the users that have a score, with their ranks on the whole board."""
        with self._database.snapshot() as connection:
            return self._board(level_id, board.read_users(connection, level_id, user_ids))

    def board_around(self, level_id: int, user_id: int, count: int) -> Board | None:
        """Returns a user with `count - 1` neighbours, None for a user without a score."""
        with self._database.snapshot() as connection:
            stretch = board.read_around(connection, level_id, user_id, count)
        return stretch and self._board(level_id, stretch)

    def standing_of(self, level_id: int, user_id: int) -> Standing | None:
        """Returns None for a user without a score."""
        with self._database.snapshot() as connection:
            return board.read_standing(connection, level_id, user_id)

    def scores_of(self, user_id: int) -> list[LevelScore]:
        """Returns the best of a user on each level, by level."""
        with self._database.snapshot() as connection:
            return board.read_level_scores(connection, user_id)

    def standings_of(self, user_id: int) -> UserStandings:
        """Returns where a user stands on each level with a score of theirs."""
        with self._database.snapshot() as connection:
            bests = board.read_level_scores(connection, user_id)
            return UserStandings(user_id, [board.standing_of(connection, user_id, best) for best in bests])

    def _board(self, level_id: int, stretch: board.Stretch) -> Board:
        if not stretch.goes_on:
            return Board(level_id, stretch.players, stretch.entries, None)
        last = stretch.entries[-1]
        cursor = self._cursors.write(level_id, Place(last.score, last.reached_at, last.user_id))
        return Board(level_id, stretch.players, stretch.entries, cursor)

    def _recall(self, memory: dict[K, Remembered[V]], key: K, level_id: int, read: Callable[[int], V]) -> V:
        """Returns what is remembered, or reads it again where the level has changed since."""
        now, mark = time.monotonic(), self._changes.mark(level_id)
        remembered = memory.get(key)
        if remembered and remembered.mark == mark and now - remembered.read_at <= MEMORY_AGE_MAX:
            return remembered.value
        value = read(level_id)
        _remember(memory, key, Remembered(value, mark, now), MEMORY_LEVELS_MAX)
        return value

    def purge_sessions(self) -> None:
        """Deletes the sessions that have ended, a slice at a time so that others may write between."""
        ended = {"now": self._clock(), "slice": PURGE_SLICE}
        while self._database.write(self._delete_sessions, ended) == PURGE_SLICE and not self._closing.is_set():
            pass

    def _delete_sessions(self, connection: sqlite3.Connection, slices: list[dict[str, Any]]) -> list[int]:
        return [
            connection.execute(
                """
                DELETE FROM sessions
                 WHERE key_hash IN (SELECT key_hash
                                      FROM sessions
                                     WHERE expires_at <= :now
                                     ORDER BY expires_at
                                     LIMIT :slice)
                """,
                ended,
            ).rowcount
            for ended in slices
        ]

    def close(self) -> None:
        """Ends the purging, commits what waits and closes the database."""
        self._closing.set()
        self._database.close()
        self._purger.join()
        self._changes.close()

    def _purge_in_turn(self) -> None:
        while not self._closing.wait(PURGE_INTERVAL):
            try:
                self.purge_sessions()
            except Unavailable:
                log.warning("ended sessions are kept until the database can be written")


def open_store(config: Config) -> Store:
    """Opens the database that `config` names, up to date. Raises StartError with the reason where it cannot."""
    database = Database(config.database.path, config.database.durability, config.server.processes)
    try:
        migrate(database)
        return Store(database, config.sessions.lifetime, config.sessions.one_per_user)
    except Unavailable:  # not closed: a writer that has stopped for good ends the process, and too soon for this line
        raise StartError(f"cannot write to the database {config.database.path}; the line above says why") from None
    except (StartError, OSError) as error:
        database.close()
        raise StartError(f"cannot use the database {config.database.path}: {error}") from None


def _remember(memory: dict[K, V], key: K, value: V, count_max: int) -> None:
    if len(memory) >= count_max:
        memory.clear()
    memory[key] = value


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
