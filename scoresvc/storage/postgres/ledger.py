"""What the actions of operators read and write, in a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from scoresvc.actions import ActionRecord
from scoresvc.scores import Timestamp
from scoresvc.storage.postgres.ledger_rules import PostgresRuleLedger


class PostgresLedger(PostgresRuleLedger):
    """See `Ledger`."""

    def delete_sessions(self, user_id: int) -> None:
        self._connection.execute("DELETE FROM sessions WHERE user_id = %(user_id)s", {"user_id": user_id})

    def delete_user(self, user_id: int) -> bool:
        """The pages of the tables are overwritten when PostgreSQL reuses them, which nobody here decides."""
        user = {"user_id": user_id}
        scores = self._fetch("SELECT level_id, period FROM scores WHERE user_id = %(user_id)s", user)
        for level_id, period in scores:
            self.delete_score(level_id, period, user_id)
        deleted = self._fetch("DELETE FROM submissions WHERE user_id = %(user_id)s RETURNING action_id", user)
        self.forget_submissions([action_id for (action_id,) in deleted])
        others = [
            self._connection.execute("DELETE FROM sessions WHERE user_id = %(user_id)s", user),
            self._connection.execute("DELETE FROM bans WHERE user_id = %(user_id)s", user),
            self._connection.execute("DELETE FROM users WHERE user_id = %(user_id)s", user),
            self._connection.execute("DELETE FROM keyed_posts WHERE user_id = %(user_id)s", user),
            self._connection.execute(
                """
                UPDATE actions
                   SET user_id = NULL,
                       submission_id = NULL,
                       before = '{}',
                       after = '{}'
                 WHERE user_id = %(user_id)s
                """,
                user,
            ),
        ]
        return bool(scores or deleted or any(each.rowcount for each in others))

    def forget_submissions(self, action_ids: Iterable[int | None]) -> None:
        """Lets actions lose submissions that were deleted: for each the action that changed it last."""
        self._connection.execute(
            """
            UPDATE actions
               SET after = jsonb_set(after, '{submissions}',
                                     ((after ->> 'submissions')::bigint - lost.count)::text::jsonb)
              FROM (SELECT action_id, count(*) AS count
                      FROM unnest(%(action_ids)s::bigint[]) AS action_id
                     GROUP BY action_id) AS lost
             WHERE actions.action_id = lost.action_id AND after ? 'submissions'
            """,
            {"action_ids": [action_id for action_id in action_ids if action_id is not None]},
        )

    def action(self, action_id: int) -> ActionRecord | None:
        rows = self._fetch(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id = %(action_id)s
            """,
            {"action_id": action_id},
        )
        return make_record(*rows[0]) if rows else None

    def last_action(self, part: str, level_id: int | None, user_id: int | None) -> int | None:
        ((action_id,),) = self._fetch(
            """
            SELECT max(action_id)
              FROM actions
             WHERE (level_id = %(level_id)s OR user_id = %(user_id)s)
               AND jsonb_typeof(after -> %(part)s) IS NOT NULL
            """,
            {"part": part, "level_id": level_id, "user_id": user_id},
        )
        return action_id  # type: ignore[no-any-return]

    def next_action_id(self) -> int:
        """One action is carried out at a time, see `acting.py`."""
        ((action_id,),) = self._fetch("SELECT coalesce(max(action_id), 0) + 1 FROM actions", {})
        return int(action_id)

    def record(self, record: ActionRecord) -> None:
        self._connection.execute(
            """
            INSERT INTO actions (action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after,
                                 undoes)
            VALUES (%(id)s, %(at)s, %(actor)s, %(kind)s, %(level_id)s, %(user_id)s, %(submission_id)s,
                    %(before)s::jsonb, %(after)s::jsonb, %(undoes)s)
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
    before: dict[str, Any],
    after: dict[str, Any],
    undoes: int | None,
) -> ActionRecord:
    """Makes a record of a row."""
    return ActionRecord(
        action_id, kind, actor, Timestamp(acted_at), level_id, user_id, submission_id, before, after, undoes
    )
