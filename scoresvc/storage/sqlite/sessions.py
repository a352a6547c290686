"""Sessions: who may post, until when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

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


class StoredSession(NamedTuple):
    user_id: int
    expires_at: float  # Unix seconds
    read_at: int  # of time.monotonic_ns, as the versions are: before it was read


class Sessions:
    """Begins sessions with `begin`, and finds them by key.

    A session lasts `lifetime` seconds. `clock` returns Unix seconds. Methods raise Unavailable where the database
    cannot serve them.
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
        self._cache: Cache[str, StoredSession | None] = Cache(SESSIONS_CACHED, CACHE_AGE_MAX)

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
        version = self._versions.rule_version_of(SESSIONS)
        session = self._cache.get(key, version, self._read, key)
        if session and session.read_at <= self._versions.user_version_of(session.user_id):
            self._cache.drop(key)  # a login of the user may have ended it
            session = self._cache.get(key, version, self._read, key)
        if session is None:
            return None
        left = session.expires_at - self._clock()
        return ActiveSession(session.user_id, self._lifetime - left) if left > 0 else None

    def delete_expired(self, count: int) -> int:
        """Deletes `count` sessions at most; returns how many."""
        return self._begin(self._purge, (self._clock(), count), int).result()

    def _read(self, key: str) -> StoredSession | None:
        now = time.monotonic_ns()
        rows = self._readers.read(
            """
            SELECT user_id, expires_at
              FROM sessions
             WHERE key_hash = :key_hash
            """,
            {"key_hash": hash_key(key)},
        )
        return StoredSession._make((*rows[0], now)) if rows else None


class SessionChanges:
    """What the writer does for sessions."""

    def __init__(self, appends: Appends, versions: LevelVersions) -> None:
        self._versions = versions
        self.log_in = Change(LOG_IN, appends.store_sessions, self._after_logins, appends.store)
        self._checkpoints = SliceCheckpoints()
        self.purge = Change("purge", self._delete_slices, self._after_slices)

    def _after_logins(self, connection: sqlite3.Connection, sessions: list[NewSession], stored: list[bool]) -> None:
        for _, user_id, _ in sessions:
            self._versions.advance_user(user_id)

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
