"""Sessions: who may post, until when."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from scoresvc.errors import Unavailable
from scoresvc.scores import Session, Timestamp
from scoresvc.storage.cache import Cache
from scoresvc.storage.sqlite.connections import Connections
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.write import Write

KEY_BYTES = 20  # 160 random bits: 32 letters and digits in base 32
PURGE_INTERVAL = 10.0  # seconds
PURGE_SLICE = 200  # sessions in one transaction
CACHE_AGE_MAX = 10.0  # seconds; then a session that was deleted by hand is refused
SESSIONS_CACHED = 20_000

log = logging.getLogger("scoresvc.database")


class NewSession(NamedTuple):
    key_hash: bytes  # the SHA-256 of the key
    user_id: int
    expires_at: float  # Unix seconds


class Sessions:
    """Begins sessions, finds them by key, and purges the expired ones in a thread of its own.

    A session lasts `lifetime` seconds; with `one_per_user` a login ends the user's earlier
    ones. `clock` returns Unix seconds. Methods raise Unavailable where the database cannot serve them.
    """

    def __init__(self, connections: Connections, lifetime: int, one_per_user: bool, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._lifetime = lifetime
        self._one_per_user = one_per_user
        self._clock = clock
        # With one session per user another process may end any of them at any time.
        self._cache: Cache[str, tuple[int, float] | None] = Cache(0 if one_per_user else SESSIONS_CACHED, CACHE_AGE_MAX)
        self._closing = threading.Event()
        self._purger = threading.Thread(target=self._purge_periodically, name="scoresvc-purger", daemon=True)
        self._purger.start()

    def log_in(self, user_id: int) -> Write[Session]:
        """Begins a session, which is stored when the write is done."""
        key = base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
        expires_at = self._clock() + self._lifetime
        session = Session(user_id, key, Timestamp(expires_at * 1_000_000))
        return self._connections.begin(self._store, NewSession(_hash(key), user_id, expires_at), lambda stored: session)

    def _store(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> list[None]:
        if self._one_per_user:
            for session in sessions:
                connection.execute("DELETE FROM sessions WHERE user_id = :user_id", {"user_id": session.user_id})
                self._insert(connection, [session])
        else:
            self._insert(connection, sessions)
        return [None] * len(sessions)

    def _insert(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> None:
        """One statement for all, so that Python's lock is given up once; JSON has no bytes: the hashes are one blob."""
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

    def user_of(self, key: str) -> int | None:
        """Returns whose session `key` is, None where it is unknown or has expired."""
        session = self._cache.get(key, 0, self._read, key)
        if session is None:
            return None
        user_id, expires_at = session
        return user_id if expires_at > self._clock() else None

    def _read(self, key: str) -> tuple[int, float] | None:
        """Returns the user, and when the session expires, in Unix seconds."""
        rows: list[tuple[int, float]] = self._connections.read(
            """
            SELECT user_id, expires_at
              FROM sessions
             WHERE key_hash = :key_hash
            """,
            {"key_hash": _hash(key)},
        )
        return rows[0] if rows else None

    def purge(self) -> None:
        """Deletes the sessions that have expired, a slice at a time so that others may write in between."""
        expired = {"now": self._clock(), "slice": PURGE_SLICE}
        while self._connections.write(self._delete, expired) == PURGE_SLICE and not self._closing.is_set():
            pass

    def _delete(self, connection: sqlite3.Connection, slices: list[dict[str, Any]]) -> list[int]:
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
                expired,
            ).rowcount
            for expired in slices
        ]

    def _purge_periodically(self) -> None:
        while not self._closing.wait(PURGE_INTERVAL):
            try:
                self.purge()
            except Unavailable:
                log.warning("expired sessions are kept until the database can be written")

    def stop_purging(self) -> None:
        """Lets the thread end after the slice that it is at."""
        self._closing.set()

    def join(self) -> None:
        """Waits for the thread; to be called once nothing can be written any more."""
        self._purger.join()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
