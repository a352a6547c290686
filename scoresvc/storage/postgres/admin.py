"""What operators do and read, see `AdminStore`."""

from __future__ import annotations

from collections.abc import Callable

from scoresvc.actions import (
    STATES,
    ActionPage,
    ActionRecord,
    AnyAction,
    FoundUser,
    HeldPosts,
    SubmissionPage,
    Token,
    UserMatches,
    UserRecord,
)
from scoresvc.levels import LevelOptions
from scoresvc.lookalikes import fold
from scoresvc.storage.admin_pages import AdminPages, make_submission, make_token, make_user_score
from scoresvc.storage.cache import Cache
from scoresvc.storage.keys import hash_key
from scoresvc.storage.postgres.acting import QueuedActions
from scoresvc.storage.postgres.clocks import DatabaseClock
from scoresvc.storage.postgres.ledger import PostgresLedger, make_record
from scoresvc.storage.postgres.maintenance import SharedMaintenance
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.rules import RuleVersion
from scoresvc.storage.write import Write

CACHE_AGE_MAX = 1.0  # seconds
TOKENS_CACHED = 1000


class SharedAdmin:
    """Reads with `reader`, acts with `acting`."""

    def __init__(
        self,
        reader: Reader,
        acting: QueuedActions,
        maintenance: SharedMaintenance,
        options: LevelOptions,
        clock: DatabaseClock,
        version: RuleVersion,
        cursor_key: bytes,
    ) -> None:
        self._reader = reader
        self._acting = acting
        self.maintain: Callable[[int], int] = maintenance.maintain
        self._options = options
        self._clock = clock
        self._version = version
        self._tokens: Cache[bytes, Token | None] = Cache(TOKENS_CACHED, CACHE_AGE_MAX)
        self._pages = AdminPages(cursor_key)

    def reading_with(self, reader: Reader) -> SharedAdmin:
        """Returns the same, with the same cache, read by another reader."""
        other = object.__new__(SharedAdmin)
        other.__dict__.update(self.__dict__, _reader=reader, _clock=self._clock.reading_with(reader))
        return other

    def perform(self, actor: str, action: AnyAction) -> Write[ActionRecord | None]:
        return self._acting.begin(actor, action)

    def token_of(self, text: str) -> Token | None:
        token_hash = hash_key(text)
        token = self._tokens.get(token_hash, self._version.number, self._read_token, token_hash)
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock.now()):
            return None
        return token

    def _read_token(self, token_hash: bytes) -> Token | None:
        rows = self._reader.read(
            """
            SELECT name, rights, levels, expires_at
              FROM tokens
             WHERE token_hash = %(token_hash)s
            """,
            {"token_hash": token_hash},
        )
        return make_token(*rows[0]) if rows else None

    def has_tokens(self) -> bool:
        return bool(self._reader.read("SELECT 1 FROM tokens LIMIT 1", {}))

    def tokens(self) -> list[Token]:
        rows = self._reader.read('SELECT name, rights, levels, expires_at FROM tokens ORDER BY name COLLATE "C"', {})
        return [make_token(*row) for row in rows]

    def submissions(
        self, level_id: int, user_id: int | None, state: str | None, limit: int, after: str | None
    ) -> SubmissionPage:
        values = {
            "level_id": level_id,
            "user_id": user_id,
            "state": None if state is None else STATES.index(state),
            "before_id": self._pages.submissions_before(level_id, after),
            "count": limit + 1,
        }
        sql = OF_LEVEL if user_id is None else OF_USER
        found = [make_submission(*row) for row in self._reader.read(sql, values)]
        return self._pages.make_submissions(level_id, found, limit)

    def held(self, limit: int) -> HeldPosts:
        return HeldPosts(tuple(make_submission(*row) for row in self._reader.read(WAITING, {"count": limit})))

    def actions(self, limit: int, after: str | None) -> ActionPage:
        rows = self._reader.read(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id < %(before_id)s
             ORDER BY action_id DESC
             LIMIT %(count)s
            """,
            {"before_id": self._pages.actions_before(after), "count": limit + 1},
        )
        return self._pages.make_actions([make_record(*row) for row in rows], limit)

    def action(self, action_id: int) -> ActionRecord | None:
        rows = self._reader.read(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id = %(action_id)s
            """,
            {"action_id": action_id},
        )
        return make_record(*rows[0]) if rows else None

    def level_of_submission(self, submission_id: int) -> int | None:
        rows = self._reader.read(
            "SELECT level_id FROM submissions WHERE submission_id = %(submission_id)s", {"submission_id": submission_id}
        )
        return int(rows[0][0]) if rows else None

    def user(self, user_id: int) -> UserRecord:
        user = {"user_id": user_id, "now": self._clock.now() / 1_000_000}
        with self._reader.snapshot() as connection:
            ledger = PostgresLedger(connection, self._options, 0)
            ban = ledger.ban_of(user_id)
            scores = [make_user_score(ledger, *row) for row in connection.execute(SCORES, user).fetchall()]
            submissions = [make_submission(*row) for row in connection.execute(ALL_OF_USER, user).fetchall()]
            ((name, claimed, external),) = connection.execute(USER, user).fetchall() or [(None, False, None)]
            ((sessions,),) = connection.execute(SESSIONS, user).fetchall()
        stands = tuple(filter(None, scores))
        return UserRecord(user_id, name, bool(claimed), external, ban, stands, tuple(submissions), sessions)

    def find_users(self, name: str | None, external: str | None, limit: int) -> UserMatches:
        values = {"folded_name": None if name is None else fold(name), "external": external, "count": limit}
        rows = self._reader.read(BY_EXTERNAL if name is None else BY_NAME, values)
        return UserMatches(tuple(FoundUser(*row) for row in rows))


OF_LEVEL = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE level_id = %(level_id)s
       AND (%(state)s::int IS NULL OR state = %(state)s::int)
       AND submission_id < %(before_id)s
     ORDER BY submission_id DESC
     LIMIT %(count)s
"""
OF_USER = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE user_id = %(user_id)s
       AND level_id = %(level_id)s
       AND (%(state)s::int IS NULL OR state = %(state)s::int)
       AND submission_id < %(before_id)s
     ORDER BY submission_id DESC
     LIMIT %(count)s
"""
WAITING = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE state = 1
     ORDER BY submission_id
     LIMIT %(count)s
"""
ALL_OF_USER = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE user_id = %(user_id)s
     ORDER BY submission_id
"""
USER = """
    SELECT name, secret_hash IS NOT NULL, external
      FROM users
     WHERE user_id = %(user_id)s
"""
BY_NAME = """
    SELECT user_id, name, external
      FROM users
     WHERE folded_name = %(folded_name)s::text
     ORDER BY user_id
     LIMIT %(count)s
"""
BY_EXTERNAL = """
    SELECT user_id, name, external
      FROM users
     WHERE external = %(external)s::text
     LIMIT %(count)s
"""
SCORES = """
    SELECT level_id, period, score, reached_at
      FROM scores
     WHERE user_id = %(user_id)s
     ORDER BY level_id, period
"""
SESSIONS = """
    SELECT count(*)
      FROM sessions
     WHERE user_id = %(user_id)s AND expires_at > %(now)s
"""
