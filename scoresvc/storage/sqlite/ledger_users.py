"""The part of the ledger that is about who users are."""

from __future__ import annotations

from collections.abc import Sequence

from scoresvc.storage.sqlite.ledger_scores import ScoreLedger
from scoresvc.storage.users import StoredUser, UserName, is_stored


class SqliteUserLedger(ScoreLedger):
    """Methods are told in `UserLedger`; there is one writer, so nobody else changes anything meanwhile."""

    def user(self, user_id: int) -> StoredUser:
        rows = self._fetch(
            """
            SELECT user_id, secret_hash, name, folded_name, external
              FROM users
             WHERE user_id = :user_id
            """,
            {"user_id": user_id},
        )
        return StoredUser._make(rows[0]) if rows else StoredUser(user_id)

    def user_of(self, external: str) -> int | None:
        rows = self._fetch("SELECT user_id FROM users WHERE external = :external", {"external": external})
        return rows[0][0] if rows else None

    def is_free(self, user_id: int) -> bool:
        ((is_named,),) = self._fetch(
            """
            SELECT EXISTS (SELECT 1 FROM users WHERE user_id = :user_id)
                OR EXISTS (SELECT 1 FROM scores WHERE user_id = :user_id)
                OR EXISTS (SELECT 1 FROM submissions WHERE user_id = :user_id)
                OR EXISTS (SELECT 1 FROM sessions WHERE user_id = :user_id)
                OR EXISTS (SELECT 1 FROM bans WHERE user_id = :user_id)
            """,
            {"user_id": user_id},
        )
        return not is_named

    def is_name_taken(self, folded_name: str, user_id: int) -> bool:
        rows = self._fetch(
            "SELECT 1 FROM users WHERE folded_name = :folded_name AND user_id <> :user_id LIMIT 1",
            {"folded_name": folded_name, "user_id": user_id},
        )
        return bool(rows)

    def is_banned(self, user_id: int) -> bool:
        return bool(self._fetch("SELECT 1 FROM bans WHERE user_id = :user_id AND NOT hide", {"user_id": user_id}))

    def put_user(self, user: StoredUser) -> None:
        if user.name != self.user(user.user_id).name:
            self._touched.levels.update(self.levels_of(user.user_id))  # their boards have it
        self._touched.rules.add(user.user_id)
        self._connection.execute("DELETE FROM users WHERE user_id = :user_id", {"user_id": user.user_id})
        if is_stored(user):
            self._connection.execute(
                """
                INSERT INTO users (user_id, secret_hash, name, folded_name, external)
                VALUES (:user_id, :secret_hash, :name, :folded_name, :external)
                """,
                user._asdict(),
            )


def read_name(fields: Sequence[str] | None) -> UserName | None:
    """Reads a name that may come from another process."""
    return UserName._make(fields) if fields else None
