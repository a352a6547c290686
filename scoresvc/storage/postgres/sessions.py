"""Sessions: who may post, until when, by the clock of the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from scoresvc.config import Config
from scoresvc.errors import Refusal, SecretNeeded
from scoresvc.scores import ActiveSession, NewUser, Session, Timestamp
from scoresvc.storage import users
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger_users import PostgresUserLedger
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.rules import RuleVersion
from scoresvc.storage.postgres.session_changes import NewSession, SessionInserts, SessionOutput, send_purge
from scoresvc.storage.postgres.transactions import PipelinedChange
from scoresvc.storage.postgres.users import UserTransactions
from scoresvc.storage.postgres.workers import Writers
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

if TYPE_CHECKING:
    from typing_extensions import LiteralString

CACHE_AGE_MAX = 10.0  # seconds; then a session that was deleted by hand is refused
SESSIONS_CACHED = 20_000

CachedSession = tuple[int, float]  # the user, when it expires by the clock of this process

T = TypeVar("T")


class SharedSessions:
    """Begins sessions and finds them, see `SessionStore`.

    What a login on another node ends, this one may take for CACHE_AGE_MAX longer; where a user has only one session,
    not. `clock` returns Unix seconds, None stands for the clock of the database: those of the nodes may differ.
    """

    def __init__(
        self,
        reader: Reader,
        workers: Writers,
        transactions: UserTransactions,
        config: Config,
        names: NameRules,
        clock: Callable[[], float] | None,
        version: RuleVersion,
        purge: LiteralString,
    ) -> None:
        self._reader = reader
        self._workers = workers
        self._transactions = transactions
        self._users = config.users
        self._names = names
        self._lifetime = config.sessions.lifetime
        self._clock = clock
        self._version = version  # an action of an operator may end sessions
        self._local_clock = clock or time.monotonic
        # With one session per user another node may end any of them at any time.
        count_max = 0 if config.sessions.sessions_max == 1 else SESSIONS_CACHED
        self._cache: Cache[bytes, CachedSession | None] = Cache(count_max, CACHE_AGE_MAX)
        self._inserts = SessionInserts(config, clock, self._cache.drop)
        self._log_in = PipelinedChange("log_in", self._inserts.send)
        self._purge = PipelinedChange("purge", partial(send_purge, purge))

    def reading_with(self, reader: Reader) -> SharedSessions:
        """Returns the same sessions, with the same cache, read by another reader."""
        other = object.__new__(SharedSessions)
        other.__dict__.update(self.__dict__, _reader=reader)
        return other

    def log_in(
        self, user_id: int, secret: str | None = None, name: str | None = None, on_wrong: Callable[[], object] = ignore
    ) -> Write[Session]:
        require_logins(self._users)
        return self._begin_session(user_id, hash_key(secret or ""), name, on_wrong)

    def log_in_for_server(self, user_id: int | None, external: str | None, name: str | None) -> Write[Session]:
        if user_id is None:
            entrance = Entrance(draw_candidates(), external=external, name=self._names.check(name))
            return self._enter(entrance, make_key(), None, ignore, as_it_is)
        return self._begin_session(user_id, None, name, ignore)

    def create_user(self, name: str | None) -> Write[NewUser]:
        require_logins(self._users)
        secret = make_key()
        entrance = Entrance(draw_candidates(), secret_hash=hash_key(secret), name=self._names.check(name))
        return self._enter(entrance, make_key(), None, ignore, lambda session: make_new_user(session, secret, name))

    def _begin_session(
        self, user_id: int, secret_hash: bytes | None, name: str | None, on_wrong: Callable[[], object]
    ) -> Write[Session]:
        key = make_key()
        if name is not None:
            return self._enter(Entrance((user_id,), name=self._names.check(name)), key, secret_hash, on_wrong, as_it_is)
        return self._workers.begin(
            self._log_in,
            NewSession(hash_key(key), user_id, secret_hash),
            lambda output: self._finish(user_id, key, on_wrong, output),
        )

    def _enter(
        self,
        entrance: Entrance,
        key: str,
        secret_hash: bytes | None,
        on_wrong: Callable[[], object],
        convert: Callable[[Session], T],
    ) -> Write[T]:
        def enter(connection: Connection) -> T:
            user_id = users.enter(PostgresUserLedger(connection), entrance, self._names.are_unique)
            sent = self._inserts.send(connection, [NewSession(hash_key(key), user_id, secret_hash)])
            (output,) = sent.outputs()
            return convert(self._finish(user_id, key, on_wrong, output))

        return self._transactions.begin(enter)

    def _finish(self, user_id: int, key: str, on_wrong: Callable[[], object], output: SessionOutput) -> Session:
        if isinstance(output, SecretNeeded):
            on_wrong()
        if isinstance(output, Refusal):
            raise output
        self._cache.put(hash_key(key), self._version.number, (user_id, self._local_clock() + self._lifetime))
        return Session(user_id, key, Timestamp(output * 1_000_000))

    def find(self, key: str) -> ActiveSession | None:
        key_hash = hash_key(key)
        session = self._cache.get(key_hash, self._version.number, self._read, key_hash)
        if session is None:
            return None
        user_id, expires_at = session
        left = expires_at - self._local_clock()
        return ActiveSession(user_id, self._lifetime - left) if left > 0 else None

    def _read(self, key_hash: bytes) -> CachedSession | None:
        rows = self._reader.read(
            """
            SELECT user_id, expires_at - coalesce(%(now)s::double precision, extract(epoch FROM statement_timestamp()))
              FROM sessions
             WHERE key_hash = %(key_hash)s
            """,
            {"key_hash": key_hash, "now": self._clock() if self._clock else None},
        )
        return (rows[0][0], self._local_clock() + float(rows[0][1])) if rows else None

    def delete_expired(self, count: int) -> int:
        return self._workers.begin(self._purge, (self._clock() if self._clock else None, count), int).result()
