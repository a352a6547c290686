"""Users: their secrets and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from scoresvc.errors import Banned, Claimed, NameTaken
from scoresvc.scores import ClaimedUser, NamedUser
from scoresvc.storage import users
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.storage.sqlite.acting import Announcer
from scoresvc.storage.sqlite.appends import Appends
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.ledger_users import SqliteUserLedger, read_name
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.sqlite.versions import LevelVersions
from scoresvc.storage.users import Entrance, NameRules, UserLedger, UserName
from scoresvc.storage.write import Write

CACHE_AGE_MAX = 10.0  # seconds; then a change that was made by hand shows, too
USERS_CACHED = 20_000

EnterRow = tuple[Entrance, bytes, float]  # the SHA-256 of the session key, when the session expires in Unix seconds
ClaimRow = tuple[int, bytes]  # the user, the SHA-256 of the secret
NameRow = tuple[int, UserName | None]
Output = tuple[int, str]  # the user; the code of a refusal, or nothing

R = TypeVar("R")

REFUSALS: dict[str, type[Banned | Claimed | NameTaken]] = {each.code: each for each in (Banned, Claimed, NameTaken)}


class KnownUser(NamedTuple):
    secret_hash: bytes | None
    name: str | None  # as others see it


class Users:
    """Names users with `begin`, and reads what is known of them; see `UserStore`."""

    def __init__(
        self, readers: Readers, versions: LevelVersions, begin: Begin, changes: UserChanges, rules: NameRules
    ) -> None:
        self._readers = readers
        self._versions = versions
        self._begin = begin
        self._changes = changes
        self._rules = rules
        self._known: Cache[int, KnownUser] = Cache(USERS_CACHED, CACHE_AGE_MAX)

    def claim(self, user_id: int) -> Write[ClaimedUser]:
        secret = make_key()

        def finish(output: Output) -> ClaimedUser:
            return ClaimedUser(user_of(output), secret)

        return self._begin(self._changes.claim, (user_id, hash_key(secret)), finish)

    def rename(self, user_id: int, name: str | None) -> Write[NamedUser]:
        checked = None if name is None else self._rules.check(name)
        return self._begin(self._changes.rename, (user_id, checked), lambda output: NamedUser(user_of(output), name))

    def name_of(self, user_id: int) -> NamedUser:
        return NamedUser(user_id, self.known(user_id).name)

    def known(self, user_id: int) -> KnownUser:
        return self._known.get(user_id, self._versions.rule_version_of(user_id), self.read, user_id)

    def read(self, user_id: int) -> KnownUser:
        """As `known`, but always from the database: in the same time for all users, also those without a row."""
        rows = self._readers.read(
            """
            SELECT secret_hash, iif(EXISTS (SELECT 1 FROM bans WHERE bans.user_id = users.user_id), NULL, name)
              FROM users
             WHERE user_id = :user_id
            """,
            {"user_id": user_id},
        )
        return KnownUser._make(rows[0]) if rows else KnownUser(None, None)


class UserChanges:
    """What the writer does for users. An output is who it is, with the code of a refusal."""

    def __init__(self, announcer: Announcer, versions: LevelVersions, appends: Appends, are_unique: bool) -> None:
        self._announcer = announcer
        self._versions = versions
        self._appends = appends
        self._are_unique = are_unique
        self._touched = Touched()  # since the last commit
        self.enter = Change("enter", self._enter, self._after_entering)
        self.claim = Change("claim", self._claim, self._after_commit)
        self.rename = Change("rename", self._rename, self._after_commit)

    def _enter(self, connection: sqlite3.Connection, rows: list[EnterRow]) -> list[Output]:
        def enter(ledger: UserLedger, row: EnterRow) -> int:
            (candidates, secret_hash, external, name), key_hash, expires_at = row
            entrance = Entrance(tuple(candidates), secret_hash, external, read_name(name))
            user_id = users.enter(ledger, entrance, self._are_unique)
            self._appends.store_sessions(connection, [(key_hash, user_id, expires_at)])
            return user_id

        return self._try_each(connection, enter, rows)

    def _claim(self, connection: sqlite3.Connection, rows: list[ClaimRow]) -> list[Output]:
        def claim(ledger: UserLedger, row: ClaimRow) -> int:
            users.claim(ledger, *row)
            return row[0]

        return self._try_each(connection, claim, rows)

    def _rename(self, connection: sqlite3.Connection, rows: list[NameRow]) -> list[Output]:
        def rename(ledger: UserLedger, row: NameRow) -> int:
            user_id, name = row
            users.rename(ledger, user_id, read_name(name), self._are_unique)
            return user_id

        return self._try_each(connection, rename, rows)

    def _try_each(
        self, connection: sqlite3.Connection, apply: Callable[[UserLedger, R], int], rows: list[R]
    ) -> list[Output]:
        ledger = SqliteUserLedger(connection, self._touched)
        outputs: list[Output] = []
        for row in rows:
            try:
                outputs.append((apply(ledger, row), ""))
            except (Banned, Claimed, NameTaken) as refusal:
                outputs.append((0, refusal.code))
        return outputs

    def _after_entering(self, connection: sqlite3.Connection, rows: list[EnterRow], outputs: list[Output]) -> None:
        for user_id, code in outputs:
            if not code:
                self._versions.advance_user(user_id)  # one of the user's sessions may have ended
        self._after_commit(connection, rows, outputs)

    def _after_commit(self, connection: sqlite3.Connection, rows: Any, outputs: list[Output]) -> None:
        self._announcer.announce(connection, self._touched)
        self._touched = Touched()


def user_of(output: Output) -> int:
    """Raises the refusal."""
    user_id, code = output
    if code:
        raise REFUSALS[code]
    return user_id
