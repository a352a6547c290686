"""What the actions of operators read and write, in a transaction of the writing connection."""

from __future__ import annotations

from typing import Any

import msgspec

from scoresvc.actions import ActionRecord
from scoresvc.scores import Timestamp
from scoresvc.storage.sqlite.ledger_rules import RuleLedger
from scoresvc.storage.sqlite.versions import SESSIONS


class SqliteLedger(RuleLedger):
    """See `Ledger`."""

    def delete_sessions(self, user_id: int) -> None:
        self._touched.rules.add(SESSIONS)
        self._connection.execute("DELETE FROM sessions WHERE user_id = :user_id", {"user_id": user_id})

    def delete_user(self, user_id: int) -> bool:
        user = {"user_id": user_id}
        self._touched.levels.update(self.levels_of(user_id))
        self._touched.rules.add(user_id)
        self._touched.has_erased = True
        before = self._connection.total_changes
        self.forget_submissions(
            self._fetch("DELETE FROM submissions WHERE user_id = :user_id RETURNING action_id", user)
        )
        self._connection.execute("DELETE FROM scores WHERE user_id = :user_id", user)
        self.delete_sessions(user_id)
        self._connection.execute("DELETE FROM bans WHERE user_id = :user_id", user)
        self._connection.execute("DELETE FROM users WHERE user_id = :user_id", user)
        self._connection.execute("DELETE FROM keyed_posts WHERE user_id = :user_id", user)
        self._connection.execute(
            """
            UPDATE actions
               SET user_id = NULL,
                   submission_id = NULL,
                   before = '{}',
                   after = '{}'
             WHERE user_id = :user_id
            """,
            user,
        )
        return self._connection.total_changes > before

    def forget_submissions(self, rows: list[tuple[int | None]]) -> None:
        """Lets actions lose submissions that were deleted: a row for each, with the action that changed it last."""
        self._connection.executemany(
            """
            UPDATE actions
               SET after = json_set(after, '$.submissions', json_extract(after, '$.submissions') - 1)
             WHERE action_id = :action_id AND json_type(after, '$.submissions') IS NOT NULL
            """,
            [{"action_id": action_id} for (action_id,) in rows if action_id is not None],
        )

    def action(self, action_id: int) -> ActionRecord | None:
        rows = self._fetch(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id = :action_id
            """,
            {"action_id": action_id},
        )
        return make_record(*rows[0]) if rows else None

    def last_action(self, part: str, level_id: int | None, user_id: int | None) -> int | None:
        ((action_id,),) = self._fetch(
            """
            SELECT max(action_id)
              FROM actions
             WHERE (level_id = :level_id OR user_id = :user_id)
               AND json_type(after, '$.' || :part) IS NOT NULL
            """,
            {"part": part, "level_id": level_id, "user_id": user_id},
        )
        return action_id  # type: ignore[no-any-return]

    def next_action_id(self) -> int:
        rows = self._fetch("SELECT seq FROM sqlite_sequence WHERE name = 'actions'", {})
        return rows[0][0] + 1 if rows else 1

    def record(self, record: ActionRecord) -> None:
        self._connection.execute(
            """
            INSERT INTO actions (action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after,
                                 undoes)
            VALUES (:id, :at, :actor, :kind, :level_id, :user_id, :submission_id, :before, :after, :undoes)
            """,
            {
                **{name: getattr(record, name) for name in record.__struct_fields__},
                "at": int(record.at),
                "before": msgspec.json.encode(record.before).decode(),
                "after": msgspec.json.encode(record.after).decode(),
            },
        )


def make_record(
    action_id: int,
    kind: str,
    actor: str,
    acted_at: int,
    level_id: int | None,
    user_id: int | None,
    submission_id: int | None,
    before: str,
    after: str,
    undoes: int | None,
) -> ActionRecord:
    """Makes a record of a row."""
    parts: tuple[dict[str, Any], dict[str, Any]] = (msgspec.json.decode(before), msgspec.json.decode(after))
    return ActionRecord(action_id, kind, actor, Timestamp(acted_at), level_id, user_id, submission_id, *parts, undoes)
