"""The statements that change sessions, by the clock of the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scoresvc.config import Config
from scoresvc.errors import Banned, SecretNeeded
from scoresvc.storage.keys import hash_again
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.transactions import SentChange

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# A secret is compared as a hash of its hash with that of the key: how long this takes tells nothing of either.
INSERT = """
INSERT INTO sessions (key_hash, user_id, expires_at)
SELECT key_hash, user_id,
       coalesce(%(now)s::double precision, extract(epoch FROM statement_timestamp())) + %(lifetime)s
  FROM unnest(%(hashes)s::bytea[], %(users)s::int[], %(proofs)s::bytea[]) AS session (key_hash, user_id, proof)
  LEFT JOIN users USING (user_id)
 WHERE NOT EXISTS (SELECT FROM bans WHERE bans.user_id = session.user_id AND NOT hide)
   AND CASE WHEN proof IS NULL THEN true
            WHEN users.secret_hash IS NULL THEN NOT %(needs_secret)s
            ELSE sha256(users.secret_hash || key_hash) = proof
       END
RETURNING key_hash, expires_at
"""

TRIM = """
DELETE FROM sessions
 WHERE key_hash IN (SELECT key_hash
                      FROM (SELECT key_hash,
                              row_number() OVER (PARTITION BY user_id
                                                     ORDER BY key_hash = ANY(%(hashes)s::bytea[]) DESC,
                                                              expires_at DESC) AS place
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


class NewSession(NamedTuple):
    key_hash: bytes  # SHA-256
    user_id: int
    secret_hash: bytes | None  # SHA-256 of the secret that was sent; None: none is needed


SessionOutput = float | Banned | SecretNeeded  # when it expires, in Unix seconds


class SessionInserts:
    """Sends what begins sessions. `on_end` is called with the hash of each key that a login ends."""

    def __init__(self, config: Config, clock: Callable[[], float] | None, on_end: Callable[[bytes], object]) -> None:
        self._lifetime = config.sessions.lifetime
        self._per_user = config.sessions.sessions_max
        self._needs_secret = config.users.logins == "claimed"
        self._clock = clock
        self._on_end = on_end

    def send(self, connection: Connection, sessions: Sequence[NewSession]) -> SentChange[SessionOutput]:
        users = sorted({session.user_id for session in sessions})
        if self._per_user == 1:  # logins of one user over two nodes would not see each other's session
            connection.execute("SELECT pg_advisory_xact_lock(7, user_id) FROM unnest(%s::int[]) AS user_id", [users])
        sent = self._insert(connection, sessions)
        hashes = [session.key_hash for session in sessions]
        ended = connection.execute(TRIM, {"users": users, "hashes": hashes, "per_user": self._per_user})

        def outputs() -> list[SessionOutput]:
            for (key_hash,) in ended.fetchall():
                self._on_end(bytes(key_hash))
            return list(sent.outputs())

        return SentChange(outputs)

    def _insert(self, connection: Connection, sessions: Sequence[NewSession]) -> SentChange[SessionOutput]:
        users = [session.user_id for session in sessions]
        inserted = connection.execute(
            INSERT,
            {
                "hashes": [session.key_hash for session in sessions],
                "users": users,
                "proofs": [
                    session.secret_hash and hash_again(session.secret_hash, session.key_hash) for session in sessions
                ],
                "needs_secret": self._needs_secret,
                "lifetime": self._lifetime,
                "now": self._clock() if self._clock else None,
            },
        )
        banned = connection.execute("SELECT user_id FROM bans WHERE user_id = ANY(%s::int[]) AND NOT hide", [users])

        def outputs() -> list[SessionOutput]:
            ends = {bytes(key_hash): float(expires_at) for key_hash, expires_at in inserted.fetchall()}
            refused = {user_id: Banned() for (user_id,) in banned.fetchall()}
            return [
                ends.get(session.key_hash) or refused.get(session.user_id) or SecretNeeded() for session in sessions
            ]

        return SentChange(outputs)


def send_purge(purge: LiteralString, connection: Connection, slices: list[tuple[float | None, int]]) -> SentChange[int]:
    deleted = [connection.execute(purge, {"now": now, "count": count}) for now, count in slices]
    return SentChange(lambda: [each.rowcount for each in deleted])
