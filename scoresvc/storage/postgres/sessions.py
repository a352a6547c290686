"""Sessions: who may post, until when, by the clock of the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from scoresvc.errors import Banned
from scoresvc.scores import ActiveSession, Session, Timestamp
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.rules import RuleVersion
from scoresvc.storage.postgres.transactions import PipelinedChange, SentChange
from scoresvc.storage.postgres.workers import Writers
from scoresvc.storage.write import Write

if TYPE_CHECKING:
    from typing_extensions import LiteralString

CACHE_AGE_MAX = 10.0  # seconds; then a session that was deleted by hand is refused
SESSIONS_CACHED = 20_000

NewSession = tuple[bytes, int]  # the SHA-256 of the key, the user
CachedSession = tuple[int, float]  # the user, when it expires by the clock of this process

INSERT = """
INSERT INTO sessions (key_hash, user_id, expires_at)
SELECT key_hash, user_id,
       coalesce(%(now)s::double precision, extract(epoch FROM statement_timestamp())) + %(lifetime)s
  FROM unnest(%(hashes)s::bytea[], %(users)s::int[]) AS session (key_hash, user_id)
 WHERE NOT EXISTS (SELECT FROM bans WHERE bans.user_id = session.user_id AND NOT hide)
RETURNING key_hash, expires_at
"""

TRIM = """
DELETE FROM sessions
 WHERE key_hash IN (SELECT key_hash
                      FROM (SELECT key_hash, row_number() OVER (PARTITION BY user_id ORDER BY expires_at DESC) AS place
                              FROM sessions
                             WHERE user_id = ANY(%(users)s::int[])) AS own
                     WHERE place > %(per_user)s)
RETURNING key_hash
"""

PURGE = """
DELETE FROM sessions
 WHERE key_hash IN (SELECT key_hash
                      FROM sessions
                     WHERE expires_at <= coalesce(%(now)s::double precision,
                                                  extract(epoch FROM statement_timestamp()))
                     ORDER BY expires_at
                     LIMIT %(count)s
                       FOR UPDATE SKIP LOCKED)
"""


class SharedSessions:
    """Begins sessions and finds them, see `SessionStore`.

    A session lasts `lifetime` seconds; of a user's the newest `per_user` stay. What a login on another node ends, this
    one may take for CACHE_AGE_MAX longer; where a user has only one, not. `clock` returns Unix seconds, None stands for
    the clock of the database: those of the nodes may differ.
    """

    def __init__(
        self,
        reader: Reader,
        workers: Writers,
        lifetime: int,
        per_user: int,
        clock: Callable[[], float] | None,
        version: RuleVersion,
        purge: LiteralString,
    ) -> None:
        self._reader = reader
        self._workers = workers
        self._lifetime = lifetime
        self._clock = clock
        self._version = version  # an action of an operator may end sessions
        self._local_clock = clock or time.monotonic
        self._per_user = per_user
        self._log_in = PipelinedChange("log_in", self._send_replacing if per_user == 1 else self._send_trimming)
        self._purge = PipelinedChange("purge", partial(_send_purge, purge))
        # With one session per user another node may end any of them at any time.
        self._cache: Cache[bytes, CachedSession | None] = Cache(0 if per_user == 1 else SESSIONS_CACHED, CACHE_AGE_MAX)

    def reading_with(self, reader: Reader) -> SharedSessions:
        """Returns the same sessions, with the same cache, read by another reader."""
        other = object.__new__(SharedSessions)
        other.__dict__.update(self.__dict__, _reader=reader)
        return other

    def log_in(self, user_id: int) -> Write[Session]:
        key = make_key()
        key_hash = hash_key(key)

        def finish(expires_at: float | None) -> Session:
            if expires_at is None:
                raise Banned
            self._cache.put(key_hash, self._version.number, (user_id, self._local_clock() + self._lifetime))
            return Session(user_id, key, Timestamp(expires_at * 1_000_000))

        return self._workers.begin(self._log_in, (key_hash, user_id), finish)

    def find(self, key: str) -> ActiveSession | None:
        key_hash = hash_key(key)
        session = self._cache.get(key_hash, self._version.number, self._read, key_hash)
        if session is None:
            return None
        user_id, expires_at = session
        left = expires_at - self._local_clock()
        return ActiveSession(user_id, self._lifetime - left) if left > 0 else None

    def _read(self, key_hash: bytes) -> CachedSession | None:
        rows = self._reader.read(
            """
            SELECT user_id, expires_at - coalesce(%(now)s::double precision, extract(epoch FROM statement_timestamp()))
              FROM sessions
             WHERE key_hash = %(key_hash)s
            """,
            {"key_hash": key_hash, "now": self._clock() if self._clock else None},
        )
        return (rows[0][0], self._local_clock() + float(rows[0][1])) if rows else None

    def delete_expired(self, count: int) -> int:
        return self._workers.begin(self._purge, (self._clock() if self._clock else None, count), int).result()

    def _send(self, connection: Connection, sessions: list[NewSession]) -> SentChange[float | None]:
        inserted = connection.execute(
            INSERT,
            {
                "hashes": [key_hash for key_hash, _ in sessions],
                "users": [user_id for _, user_id in sessions],
                "lifetime": self._lifetime,
                "now": self._clock() if self._clock else None,
            },
        )

        def outputs() -> list[float | None]:
            """Returns when each expires; None for that of a user who is banned."""
            ends = {bytes(key_hash): float(expires_at) for key_hash, expires_at in inserted.fetchall()}
            return [ends.get(key_hash) for key_hash, _ in sessions]

        return SentChange(outputs)

    def _send_trimming(self, connection: Connection, sessions: list[NewSession]) -> SentChange[float | None]:
        sent = self._send(connection, sessions)
        users = sorted({user_id for _, user_id in sessions})
        ended = connection.execute(TRIM, {"users": users, "per_user": self._per_user})

        def outputs() -> list[float | None]:
            for (key_hash,) in ended.fetchall():
                self._cache.drop(bytes(key_hash))
            return list(sent.outputs())

        return SentChange(outputs)

    def _send_replacing(self, connection: Connection, sessions: list[NewSession]) -> SentChange[float | None]:
        """The lock keeps logins of one user over two nodes apart: neither would see the other's session."""
        users = sorted({user_id for _, user_id in sessions})
        connection.execute("SELECT pg_advisory_xact_lock(7, user_id) FROM unnest(%s::int[]) AS user_id", [users])
        connection.execute("DELETE FROM sessions WHERE user_id = ANY(%s::int[])", [users])
        sent = self._send(connection, sessions)
        superseded = [key_hash for place, (key_hash, user_id) in enumerate(sessions) if _comes_again(sessions, place)]
        connection.execute("DELETE FROM sessions WHERE key_hash = ANY(%s::bytea[])", [superseded])
        return sent


def _comes_again(sessions: list[NewSession], place: int) -> bool:
    """Returns whether the user of a session has a later one in the same batch."""
    return any(user_id == sessions[place][1] for _, user_id in sessions[place + 1 :])


def _send_purge(
    purge: LiteralString, connection: Connection, slices: list[tuple[float | None, int]]
) -> SentChange[int]:
    deleted = [connection.execute(purge, {"now": now, "count": count}) for now, count in slices]
    return SentChange(lambda: [each.rowcount for each in deleted])
