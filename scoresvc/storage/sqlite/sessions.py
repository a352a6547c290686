"""Sessions: who may post, until when."""

from __future__ import annotations

from collections.abc import Callable

from scoresvc.errors import Banned
from scoresvc.scores import ActiveSession, Session, Timestamp
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.storage.purging import Slice
from scoresvc.storage.sqlite.appends import LOG_IN, Appends, NewSession
from scoresvc.storage.sqlite.checkpoints import SliceCheckpoints
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.rules import Rules
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.sqlite.versions import SESSIONS, LevelVersions
from scoresvc.storage.write import Write

CACHE_AGE_MAX = 10.0  # seconds; then a session that was deleted by hand is refused
SESSIONS_CACHED = 20_000


class Sessions:
    """Begins sessions with `begin`, and finds them by key.

    A session lasts `lifetime` seconds; with `one_per_user` a login ends the user's earlier
    ones. `clock` returns Unix seconds. Methods raise Unavailable where the database cannot serve them.
    """

    def __init__(
        self,
        readers: Readers,
        versions: LevelVersions,
        begin: Begin,
        changes: SessionChanges,
        rules: Rules,
        lifetime: int,
        clock: Callable[[], float],
    ) -> None:
        self._readers = readers
        self._versions = versions
        self._begin = begin
        self._log_in = changes.log_in
        self._purge = changes.purge
        self._rules = rules
        self._lifetime = lifetime
        self._clock = clock
        # With one session per user another process may end any of them at any time.
        sessions_cached = 0 if changes.one_per_user else SESSIONS_CACHED
        self._cache: Cache[str, tuple[int, float] | None] = Cache(sessions_cached, CACHE_AGE_MAX)

    def log_in(self, user_id: int) -> Write[Session]:
        """Begins a session, which is stored when the write is done. Raises Banned."""
        ban = self._rules.ban_of(user_id)
        if ban and not ban.hide:
            raise Banned
        key = make_key()
        expires_at = self._clock() + self._lifetime
        session = Session(user_id, key, Timestamp(expires_at * 1_000_000))
        return self._begin(self._log_in, (hash_key(key), user_id, expires_at), lambda stored: session)

    def find(self, key: str) -> ActiveSession | None:
        """Returns whose session `key` is, None where it is unknown or has expired."""
        session = self._cache.get(key, self._versions.rule_version_of(SESSIONS), self._read, key)
        if session is None:
            return None
        user_id, expires_at = session
        left = expires_at - self._clock()
        return ActiveSession(user_id, self._lifetime - left) if left > 0 else None

    def delete_expired(self, count: int) -> int:
        """Deletes `count` sessions at most; returns how many."""
        return self._begin(self._purge, (self._clock(), count), int).result()

    def _read(self, key: str) -> tuple[int, float] | None:
        """Returns the user, and when the session expires, in Unix seconds."""
        rows: list[tuple[int, float]] = self._readers.read(
            """
            SELECT user_id, expires_at
              FROM sessions
             WHERE key_hash = :key_hash
            """,
            {"key_hash": hash_key(key)},
        )
        return rows[0] if rows else None


class SessionChanges:
    """What the writer does for sessions. With `one_per_user` a login ends the user's earlier ones."""

    def __init__(self, appends: Appends, one_per_user: bool) -> None:
        self.one_per_user = one_per_user
        self._store = appends.store_sessions
        if one_per_user:
            self.log_in = Change(LOG_IN, self._replace)
        else:
            self.log_in = Change(LOG_IN, self._store, together=appends.store)
        self._checkpoints = SliceCheckpoints()
        self.purge = Change("purge", self._delete_slices, self._after_slices)

    def _replace(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> list[bool]:
        for session in sessions:
            connection.execute("DELETE FROM sessions WHERE user_id = :user_id", {"user_id": session[1]})
            self._store(connection, [session])
        return [True] * len(sessions)

    def _delete_slices(self, connection: sqlite3.Connection, slices: list[Slice]) -> list[int]:
        """Returns for each how many were deleted."""
        return [
            connection.execute(
                """
                DELETE FROM sessions
                 WHERE key_hash IN (SELECT key_hash
                                      FROM sessions
                                     WHERE expires_at <= :now
                                     ORDER BY expires_at
                                     LIMIT :count)
                """,
                {"now": now, "count": count},
            ).rowcount
            for now, count in slices
        ]

    def _after_slices(self, connection: sqlite3.Connection, slices: list[Slice], deleted: list[int]) -> None:
        if any(deleted):
            self._checkpoints.after_slice(connection)
