"""Posts that depend on what is stored: those with an idempotency key, or with a new name for their user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scoresvc.errors import KeyReused, NameTaken
from scoresvc.storage import users
from scoresvc.storage.keyed_posts import KEY_LIFETIME, KeyedPost, write_answer
from scoresvc.storage.purging import Slice
from scoresvc.storage.sqlite.acting import Announcer
from scoresvc.storage.sqlite.checkpoints import SliceCheckpoints
from scoresvc.storage.sqlite.ledger_users import SqliteUserLedger, read_name
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.scores import ScoreChanges
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Change
from scoresvc.storage.users import UserName

Row = tuple[int, int, int, str | None, str | None, UserName | None]  # level, user, score, meta, key, name
Output = tuple[str, bool, bytes]  # the code of a refusal, or nothing; whether it was stored before; the answer

REFUSALS: dict[str, type[KeyReused | NameTaken]] = {each.code: each for each in (KeyReused, NameTaken)}


class CheckedPostChanges:
    """What the writer does for them, one by one; `clock` returns Unix seconds."""

    def __init__(
        self, scores: ScoreChanges, announcer: Announcer, names_are_unique: bool, clock: Callable[[], float]
    ) -> None:
        self.scores = scores
        self._announcer = announcer
        self._names_are_unique = names_are_unique
        self._clock = clock
        self._touched = Touched()  # since the last commit
        self.post = Change("checked_post", self._store, self._after_commit)
        self._checkpoints = SliceCheckpoints()
        self.purge = Change("purge_keys", self._delete_slices, self._after_slices)

    def _store(self, connection: sqlite3.Connection, rows: list[Row]) -> list[Output]:
        outputs: list[Output] = []
        for row in rows:
            try:
                outputs.append(self._store_one(connection, row))
            except (KeyReused, NameTaken) as refusal:
                outputs.append((refusal.code, False, b""))
        return outputs

    def _store_one(self, connection: sqlite3.Connection, row: Row) -> Output:
        """Raises KeyReused, NameTaken."""
        level_id, user_id, score, meta, key, name = row
        now = int(self._clock() * 1_000_000)
        if key is not None and (stored := find_keyed_post(connection, user_id, key, now)):
            return "", True, stored.replay(level_id, score)
        if name is not None:
            ledger = SqliteUserLedger(connection, self._touched)
            users.rename(ledger, user_id, read_name(name), self._names_are_unique)
        answer = write_answer(*self.scores.store_and_tell(connection, (level_id, user_id, score, meta)))
        if key is not None:
            connection.execute(
                """
                INSERT OR REPLACE INTO keyed_posts (user_id, key, level_id, score, stored_at, answer)
                VALUES (:user_id, :key, :level_id, :score, :stored_at, :answer)
                """,
                {
                    "user_id": user_id, "key": key, "level_id": level_id, "score": score, "stored_at": now,
                    "answer": answer,
                },
            )  # fmt: skip
        return "", False, answer

    def _after_commit(self, connection: sqlite3.Connection, rows: list[Row], outputs: list[Output]) -> None:
        stored = [row for row, (code, is_replay, _) in zip(rows, outputs, strict=True) if not (code or is_replay)]
        self.scores.update(
            connection, [(level_id, user_id, score, meta) for level_id, user_id, score, meta, *_ in stored]
        )
        self._announcer.announce(connection, self._touched)
        self._touched = Touched()

    def _delete_slices(self, connection: sqlite3.Connection, slices: list[Slice]) -> list[int]:
        """Returns for each how many were deleted."""
        return [
            connection.execute(
                """
                DELETE FROM keyed_posts
                 WHERE (user_id, key) IN (SELECT user_id, key
                                            FROM keyed_posts
                                           WHERE stored_at <= :oldest
                                           ORDER BY stored_at
                                           LIMIT :count)
                """,
                {"oldest": int((now - KEY_LIFETIME) * 1_000_000), "count": count},
            ).rowcount
            for now, count in slices
        ]

    def _after_slices(self, connection: sqlite3.Connection, slices: list[Slice], deleted: list[Any]) -> None:
        if any(deleted):
            self._checkpoints.after_slice(connection)


def find_keyed_post(connection: sqlite3.Connection, user_id: int, key: str, now: int) -> KeyedPost | None:
    rows = connection.execute(
        """
        SELECT level_id, score, answer
          FROM keyed_posts
         WHERE user_id = :user_id AND key = :key AND stored_at > :oldest
        """,
        {"user_id": user_id, "key": key, "oldest": now - KEY_LIFETIME * 1_000_000},
    ).fetchall()
    return KeyedPost._make(rows[0]) if rows else None
