"""The part of the ledger that is about who users are.

Other nodes may let in, or rename, the same user at the same time, also one without a row; so what is asked for first
takes a lock of its number or its text, until the transaction ends.
"""

from __future__ import annotations

from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger_scores import PostgresScoreLedger
from scoresvc.storage.users import StoredUser, is_stored

LOCK_USER, LOCK_EXTERNAL, LOCK_NAME = 8, 9, 10  # the first keys of advisory locks

# Whether anything is stored about a user. Citus plans each of these, but not all together.
NAMED = (
    "SELECT FROM users WHERE user_id = %(user_id)s",
    "SELECT FROM scores WHERE user_id = %(user_id)s LIMIT 1",
    "SELECT FROM submissions WHERE user_id = %(user_id)s LIMIT 1",
    "SELECT FROM sessions WHERE user_id = %(user_id)s LIMIT 1",
    "SELECT FROM bans WHERE user_id = %(user_id)s",
)


class PostgresUserLedger(PostgresScoreLedger):
    """Methods are told in `UserLedger`."""

    def user(self, user_id: int) -> StoredUser:
        lock(self._connection, LOCK_USER, str(user_id))
        rows = self._fetch(
            """
            SELECT user_id, secret_hash, name, folded_name, external
              FROM users
             WHERE user_id = %(user_id)s
            """,
            {"user_id": user_id},
        )
        return StoredUser._make(rows[0]) if rows else StoredUser(user_id)

    def user_of(self, external: str) -> int | None:
        lock(self._connection, LOCK_EXTERNAL, external)
        rows = self._fetch("SELECT user_id FROM users WHERE external = %(external)s::text", {"external": external})
        return rows[0][0] if rows else None

    def is_free(self, user_id: int) -> bool:
        return not any(self._fetch(query, {"user_id": user_id}) for query in NAMED)

    def is_name_taken(self, folded_name: str, user_id: int) -> bool:
        lock(self._connection, LOCK_NAME, folded_name)
        rows = self._fetch(
            "SELECT FROM users WHERE folded_name = %(folded_name)s::text AND user_id <> %(user_id)s LIMIT 1",
            {"folded_name": folded_name, "user_id": user_id},
        )
        return bool(rows)

    def is_banned(self, user_id: int) -> bool:
        rows = self._fetch("SELECT FROM bans WHERE user_id = %(user_id)s AND NOT hide", {"user_id": user_id})
        return bool(rows)

    def put_user(self, user: StoredUser) -> None:
        self._connection.execute("DELETE FROM users WHERE user_id = %(user_id)s", {"user_id": user.user_id})
        if is_stored(user):
            self._connection.execute(
                """
                INSERT INTO users (user_id, secret_hash, name, folded_name, external)
                VALUES (%(user_id)s, %(secret_hash)s::bytea, %(name)s::text, %(folded_name)s::text, %(external)s::text)
                """,
                user._asdict(),
            )


def lock(connection: Connection, kind: int, text: str) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s::text))", (kind, text))
