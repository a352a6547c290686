"""The part of the ledger that is about settings, bans and tokens."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from scoresvc.actions import Ban
from scoresvc.levels import LevelOptions, LevelSettings
from scoresvc.scores import Timestamp
from scoresvc.storage.ledger import OwnSettings, merge_settings
from scoresvc.storage.rebuilding import oldest_periods
from scoresvc.storage.sqlite.ledger_users import SqliteUserLedger
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.versions import TOKENS


class RuleLedger(SqliteUserLedger):
    """`now` is in Unix microseconds; methods are told in `Ledger`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        touched: Touched,
        options: LevelOptions,
        now: int,
        names_are_unique: bool = False,
    ) -> None:
        super().__init__(connection, touched)
        self._options = options
        self.now = now
        self.defaults: LevelSettings = options.defaults
        self.names_are_unique = names_are_unique

    def settings_of(self, level_id: int) -> LevelSettings:
        own = self.own_settings(level_id)
        return merge_settings(self.defaults, own, own is None and self.has_scores(level_id))

    def own_settings(self, level_id: int) -> OwnSettings | None:
        rows = self._fetch("SELECT settings FROM level_settings WHERE level_id = :level_id", {"level_id": level_id})
        return msgspec.json.decode(rows[0][0], type=OwnSettings) if rows else None

    def put_settings(self, level_id: int, settings: OwnSettings | None) -> None:
        self._touched.levels.add(level_id)
        self._touched.rules.add(level_id)
        self._connection.execute("DELETE FROM level_settings WHERE level_id = :level_id", {"level_id": level_id})
        if settings is not None:
            self._connection.execute(
                """
                INSERT INTO level_settings (level_id, settings)
                VALUES (:level_id, :settings)
                """,
                {"level_id": level_id, "settings": msgspec.json.encode(settings, order="sorted").decode()},
            )

    def oldest_periods(self, level_id: int) -> Mapping[str, int]:
        return oldest_periods(self._options, self.settings_of(level_id).zone, self.now)

    def ban_of(self, user_id: int) -> Ban | None:
        rows = self._fetch(
            """
            SELECT user_id, reason, until, hide
              FROM bans
             WHERE user_id = :user_id
            """,
            {"user_id": user_id},
        )
        return make_ban(*rows[0]) if rows else None

    def put_ban(self, ban: Ban) -> None:
        self._touched.rules.add(ban.user_id)
        self._connection.execute(
            """
            INSERT INTO bans (user_id, until, hide, reason)
            VALUES (:user_id, :until, :hide, :reason)
            ON CONFLICT (user_id)
              DO UPDATE SET until = excluded.until,
                            hide = excluded.hide,
                            reason = excluded.reason
            """,
            {"user_id": ban.user_id, "until": ban.until, "hide": ban.hide, "reason": ban.reason},
        )

    def delete_ban(self, user_id: int) -> None:
        self._touched.rules.add(user_id)
        self._connection.execute("DELETE FROM bans WHERE user_id = :user_id", {"user_id": user_id})

    def add_token(self, name: str, token_hash: bytes, rights: str, levels: str, expires_at: int | None) -> bool:
        self._touched.rules.add(TOKENS)
        added = self._connection.execute(
            """
            INSERT INTO tokens (name, token_hash, rights, levels, expires_at)
            VALUES (:name, :token_hash, :rights, :levels, :expires_at)
            ON CONFLICT (name)
              DO NOTHING
            """,
            {"name": name, "token_hash": token_hash, "rights": rights, "levels": levels, "expires_at": expires_at},
        )
        return added.rowcount == 1

    def delete_token(self, name: str) -> bool:
        self._touched.rules.add(TOKENS)
        return self._connection.execute("DELETE FROM tokens WHERE name = :name", {"name": name}).rowcount == 1


def make_ban(user_id: int, reason: str, until: int | None, hide: int) -> Ban:
    """Makes a ban of a row."""
    return Ban(user_id, reason, None if until is None else Timestamp(until), bool(hide))
