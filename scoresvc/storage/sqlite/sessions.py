"""Sessions: who may post, until when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from scoresvc.actions import Ban
from scoresvc.config import UserOptions
from scoresvc.errors import Banned, SecretNeeded
from scoresvc.scores import ActiveSession, NewUser, Session, Timestamp
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key, is_hash_of, make_key
from scoresvc.storage.purging import Slice
from scoresvc.storage.sqlite.appends import LOG_IN, Appends, NewSession
from scoresvc.storage.sqlite.checkpoints import SliceCheckpoints
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.sqlite.users import KnownUser, Output, UserChanges, user_of
from scoresvc.storage.sqlite.versions import SESSIONS, LevelVersions
from scoresvc.storage.users import (
    Entrance,
    NameRules,
    as_it_is,
    draw_candidates,
    ignore,
    make_new_user,
    require_logins,
)
from scoresvc.storage.write import Write

CACHE_AGE_MAX = 10.0  # seconds; then a session that was deleted by hand is refused
SESSIONS_CACHED = 20_000

T = TypeVar("T")


class StoredSession(NamedTuple):
    user_id: int
    expires_at: float  # Unix seconds
    read_at: int  # of time.monotonic_ns, as the versions are: before it was read


class LoginRules(NamedTuple):
    """What decides on a login."""

    options: UserOptions
    names: NameRules
    known: Callable[[int], KnownUser]  # what is known of a user
    ban_of: Callable[[int], Ban | None]


class Sessions:
    """Begins sessions with `begin`, and finds them by key; see `SessionStore`.

    A session lasts `lifetime` seconds. `clock` returns Unix seconds.
    """

    def __init__(
        self,
        readers: Readers,
        versions: LevelVersions,
        begin: Begin,
        changes: SessionChanges,
        rules: LoginRules,
        lifetime: int,
        clock: Callable[[], float],
    ) -> None:
        self._readers = readers
        self._versions = versions
        self._begin = begin
        self._changes = changes
        self._rules = rules
        self._lifetime = lifetime
        self._clock = clock
        self._cache: Cache[str, StoredSession | None] = Cache(SESSIONS_CACHED, CACHE_AGE_MAX)

    def log_in(
        self, user_id: int, secret: str | None = None, name: str | None = None, on_wrong: Callable[[], object] = ignore
    ) -> Write[Session]:
        require_logins(self._rules.options)
        self._refuse_banned(user_id)
        secret_hash = self._rules.known(user_id).secret_hash
        is_open = secret_hash is None and self._rules.options.logins == "anyone"
        if not (is_open or is_hash_of(secret_hash, secret)):
            on_wrong()
            raise SecretNeeded
        return self._begin_session(user_id, name)

    def log_in_for_server(self, user_id: int | None, external: str | None, name: str | None) -> Write[Session]:
        if user_id is None:
            name_checked = self._rules.names.check(name)
            return self._enter(Entrance(draw_candidates(), external=external, name=name_checked), as_it_is)
        self._refuse_banned(user_id)
        return self._begin_session(user_id, name)

    def _begin_session(self, user_id: int, name: str | None) -> Write[Session]:
        if name is not None and name != self._rules.known(user_id).name:
            return self._enter(Entrance((user_id,), name=self._rules.names.check(name)), as_it_is)
        key, expires_at = self._draw()
        session = Session(user_id, key, Timestamp(expires_at * 1_000_000))
        return self._begin(self._changes.log_in, (hash_key(key), user_id, expires_at), lambda stored: session)

    def create_user(self, name: str | None) -> Write[NewUser]:
        require_logins(self._rules.options)
        secret = make_key()
        entrance = Entrance(draw_candidates(), secret_hash=hash_key(secret), name=self._rules.names.check(name))
        return self._enter(entrance, lambda session: make_new_user(session, secret, name))

    def _refuse_banned(self, user_id: int) -> None:
        ban = self._rules.ban_of(user_id)
        if ban and not ban.hide:
            raise Banned

    def _enter(self, entrance: Entrance, convert: Callable[[Session], T]) -> Write[T]:
        key, expires_at = self._draw()

        def finish(output: Output) -> T:
            return convert(Session(user_of(output), key, Timestamp(expires_at * 1_000_000)))

        return self._begin(self._changes.enter, (entrance, hash_key(key), expires_at), finish)

    def _draw(self) -> tuple[str, float]:
        """Returns the key of a new session, and when it expires, in Unix seconds."""
        return make_key(), self._clock() + self._lifetime

    def find(self, key: str) -> ActiveSession | None:
        version = self._versions.rule_version_of(SESSIONS)
        session = self._cache.get(key, version, self._read, key)
        if session and session.read_at <= self._versions.user_version_of(session.user_id):
            self._cache.drop(key)  # a login of the user may have ended it
            session = self._cache.get(key, version, self._read, key)
        if session is None:
            return None
        left = session.expires_at - self._clock()
        return ActiveSession(session.user_id, self._lifetime - left) if left > 0 else None

    def delete_expired(self, count: int) -> int:
        return self._begin(self._changes.purge, (self._clock(), count), int).result()

    def _read(self, key: str) -> StoredSession | None:
        now = time.monotonic_ns()
        rows = self._readers.read(
            """
            SELECT user_id, expires_at
              FROM sessions
             WHERE key_hash = :key_hash
            """,
            {"key_hash": hash_key(key)},
        )
        return StoredSession._make((*rows[0], now)) if rows else None


class SessionChanges:
    """What the writer does for sessions."""

    def __init__(self, appends: Appends, versions: LevelVersions, users: UserChanges) -> None:
        self._versions = versions
        self.enter = users.enter
        self.log_in = Change(LOG_IN, appends.store_sessions, self._after_logins, appends.store)
        self._checkpoints = SliceCheckpoints()
        self.purge = Change("purge", self._delete_slices, self._after_slices)

    def _after_logins(self, connection: sqlite3.Connection, sessions: list[NewSession], stored: list[bool]) -> None:
        for _, user_id, _ in sessions:
            self._versions.advance_user(user_id)

    def _delete_slices(self, connection: sqlite3.Connection, slices: list[Slice]) -> list[int]:
        """Returns for each how many were deleted."""
        return [
            connection.execute(
                """
                DELETE FROM sessions
                 WHERE key_hash IN (SELECT key_hash
                                      FROM sessions
                                     WHERE expires_at <= :now
                                     ORDER BY expires_at
                                     LIMIT :count)
                """,
                {"now": now, "count": count},
            ).rowcount
            for now, count in slices
        ]

    def _after_slices(self, connection: sqlite3.Connection, slices: list[Slice], deleted: list[int]) -> None:
        if any(deleted):
            self._checkpoints.after_slice(connection)
