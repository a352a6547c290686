"""Many rows at once, for an import; lists of keys go in as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from scoresvc.rows import SubmissionRow
from scoresvc.storage.ledger import StoredSubmission
from scoresvc.storage.rebuilding import Best
from scoresvc.storage.sqlite.ledger import SqliteLedger
from scoresvc.storage.transfer_ledger import BoardKey, PostKey, UserOnLevel


class SqliteTransferLedger(SqliteLedger):
    """See `TransferLedger`."""

    def scores_at(self, keys: Iterable[BoardKey]) -> dict[BoardKey, Best]:
        rows = self._fetch(
            """
            SELECT level_id, period, user_id, score, reached_at
              FROM json_each(:keys) AS key
             CROSS JOIN scores
             WHERE user_id = json_extract(key.value, '$[2]')
               AND level_id = json_extract(key.value, '$[0]')
               AND period = json_extract(key.value, '$[1]')
            """,
            _as_json(keys),
        )
        return _by_board(rows)

    def scores_of(self, users: Iterable[UserOnLevel]) -> dict[BoardKey, Best]:
        rows = self._fetch(
            """
            SELECT level_id, period, user_id, score, reached_at
              FROM json_each(:keys) AS key
             CROSS JOIN scores
             WHERE user_id = json_extract(key.value, '$[1]')
               AND level_id = json_extract(key.value, '$[0]')
            """,
            _as_json(users),
        )
        return _by_board(rows)

    def submissions_at(self, keys: Iterable[PostKey]) -> list[StoredSubmission]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM json_each(:keys) AS key
             CROSS JOIN submissions
             WHERE user_id = json_extract(key.value, '$[1]')
               AND level_id = json_extract(key.value, '$[0]')
               AND posted_at = json_extract(key.value, '$[2]')
            """,
            _as_json(keys),
        )
        return [StoredSubmission(*row) for row in rows]

    def submissions_of(self, users: Iterable[UserOnLevel]) -> list[StoredSubmission]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM json_each(:keys) AS key
             CROSS JOIN submissions
             WHERE user_id = json_extract(key.value, '$[1]')
               AND level_id = json_extract(key.value, '$[0]')
             ORDER BY coalesce(follows, submission_id), follows IS NOT NULL, posted_at, submission_id
            """,
            _as_json(users),
        )
        return [StoredSubmission(*row) for row in rows]

    def submission_rows(self, submission_ids: Iterable[int]) -> dict[int, SubmissionRow]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before,
                   follows
              FROM json_each(:keys) AS key
             CROSS JOIN submissions
             WHERE submission_id = key.value
            """,
            _as_json(submission_ids),
        )
        return {row[0]: SubmissionRow(*row) for row in rows}

    def banned_among(self, user_ids: Iterable[int]) -> set[int]:
        rows = self._fetch(
            "SELECT user_id FROM bans WHERE user_id IN (SELECT value FROM json_each(:keys))", _as_json(user_ids)
        )
        return {user_id for (user_id,) in rows}

    def put_scores(self, scores: Mapping[BoardKey, Best]) -> None:
        if not scores:
            return
        self._touched.levels.update(level_id for level_id, _, _ in scores)
        self._connection.executemany(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (level_id, period, user_id)
              DO UPDATE SET score = excluded.score,
                            reached_at = excluded.reached_at
            """,
            [(*key, *best) for key, best in scores.items()],
        )
        self._connection.execute(
            "UPDATE latest_post SET accepted_at = max(accepted_at, :reached_at)",
            {"reached_at": max(reached_at for _, reached_at in scores.values())},
        )

    def insert_submissions(self, rows: Sequence[SubmissionRow]) -> None:
        self._touched.levels.update(row.level_id for row in rows)
        self._connection.executemany(
            """
            INSERT INTO submissions (submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id,
                                     state_before, follows)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            rows,
        )

    def lock_levels(self, level_ids: Iterable[int]) -> None:
        """The transaction has the whole database."""


def _as_json(keys: Iterable[Any]) -> dict[str, str]:
    return {"keys": msgspec.json.encode(list(keys)).decode()}


def _by_board(rows: Iterable[tuple[int, int, int, int, int]]) -> dict[BoardKey, Best]:
    return {(level_id, period, user_id): (score, reached_at) for level_id, period, user_id, score, reached_at in rows}
