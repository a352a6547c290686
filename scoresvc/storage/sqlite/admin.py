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
from scoresvc.storage.sqlite.acting import Acting, read_output, write_row
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.ledger import SqliteLedger, make_record
from scoresvc.storage.sqlite.maintenance import Maintenance
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Begin
from scoresvc.storage.sqlite.versions import TOKENS, LevelVersions
from scoresvc.storage.write import Write

CACHE_AGE_MAX = 1.0  # seconds; then a token that was deleted by hand is refused
TOKENS_CACHED = 1000


class Admin:
    """Reads with `readers`, acts with `begin`; `clock` returns Unix seconds."""

    def __init__(
        self,
        readers: Readers,
        versions: LevelVersions,
        begin: Begin,
        acting: Acting,
        maintenance: Maintenance,
        options: LevelOptions,
        clock: Callable[[], float],
    ) -> None:
        self._readers = readers
        self._versions = versions
        self._begin = begin
        self._act = acting.act
        self._maintain = maintenance.maintain
        self._options = options
        self._clock = clock
        self._tokens: Cache[bytes, Token | None] = Cache(TOKENS_CACHED, CACHE_AGE_MAX)
        ((cursor_key,),) = readers.read("SELECT key FROM cursor_key", {})
        self._pages = AdminPages(cursor_key)

    def perform(self, actor: str, action: AnyAction) -> Write[ActionRecord | None]:
        return self._begin(self._act, write_row(actor, action), read_output)

    def maintain(self, count: int) -> int:
        return self._begin(self._maintain, (self._clock(), count), int).result()

    def token_of(self, text: str) -> Token | None:
        token_hash = hash_key(text)
        version = self._versions.rule_version_of(TOKENS)
        token = self._tokens.get(token_hash, version, self._read_token, token_hash)
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock() * 1_000_000):
            return None
        return token

    def _read_token(self, token_hash: bytes) -> Token | None:
        rows = self._readers.read(
            """
            SELECT name, rights, levels, expires_at
              FROM tokens
             WHERE token_hash = :token_hash
            """,
            {"token_hash": token_hash},
        )
        return make_token(*rows[0]) if rows else None

    def has_tokens(self) -> bool:
        return bool(self._readers.read("SELECT 1 FROM tokens LIMIT 1", {}))

    def tokens(self) -> list[Token]:
        rows = self._readers.read("SELECT name, rights, levels, expires_at FROM tokens ORDER BY name", {})
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
        found = [make_submission(*row) for row in self._readers.read(sql, values)]
        return self._pages.make_submissions(level_id, found, limit)

    def held(self, limit: int) -> HeldPosts:
        return HeldPosts(tuple(make_submission(*row) for row in self._readers.read(WAITING, {"count": limit})))

    def actions(self, limit: int, after: str | None) -> ActionPage:
        rows = self._readers.read(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id < :before_id
             ORDER BY action_id DESC
             LIMIT :count
            """,
            {"before_id": self._pages.actions_before(after), "count": limit + 1},
        )
        return self._pages.make_actions([make_record(*row) for row in rows], limit)

    def action(self, action_id: int) -> ActionRecord | None:
        rows = self._readers.read(
            """
            SELECT action_id, kind, actor, acted_at, level_id, user_id, submission_id, before, after, undoes
              FROM actions
             WHERE action_id = :action_id
            """,
            {"action_id": action_id},
        )
        return make_record(*rows[0]) if rows else None

    def level_of_submission(self, submission_id: int) -> int | None:
        rows = self._readers.read(
            "SELECT level_id FROM submissions WHERE submission_id = :submission_id", {"submission_id": submission_id}
        )
        return int(rows[0][0]) if rows else None

    def user(self, user_id: int) -> UserRecord:
        user = {"user_id": user_id, "now": self._clock()}
        with self._readers.snapshot() as connection:
            ledger = SqliteLedger(connection, Touched(), self._options, 0)
            ban = ledger.ban_of(user_id)
            scores = [make_user_score(ledger, *row) for row in connection.execute(SCORES, user).fetchall()]
            submissions = [make_submission(*row) for row in connection.execute(ALL_OF_USER, user).fetchall()]
            ((name, claimed, external),) = connection.execute(USER, user).fetchall() or [(None, False, None)]
            ((sessions,),) = connection.execute(SESSIONS, user).fetchall()
        stands = tuple(filter(None, scores))
        return UserRecord(user_id, name, bool(claimed), external, ban, stands, tuple(submissions), sessions)

    def find_users(self, name: str | None, external: str | None, limit: int) -> UserMatches:
        values = {"folded_name": None if name is None else fold(name), "external": external, "count": limit}
        rows = self._readers.read(BY_EXTERNAL if name is None else BY_NAME, values)
        return UserMatches(tuple(FoundUser(*row) for row in rows))


OF_LEVEL = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE level_id = :level_id
       AND (:state IS NULL OR state = :state)
       AND submission_id < :before_id
     ORDER BY submission_id DESC
     LIMIT :count
"""
OF_USER = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE user_id = :user_id
       AND level_id = :level_id
       AND (:state IS NULL OR state = :state)
       AND submission_id < :before_id
     ORDER BY submission_id DESC
     LIMIT :count
"""
WAITING = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE state = 1
     ORDER BY submission_id
     LIMIT :count
"""
ALL_OF_USER = """
    SELECT submission_id, level_id, user_id, score, posted_at, state, meta
      FROM submissions
     WHERE user_id = :user_id
     ORDER BY submission_id
"""
USER = """
    SELECT name, secret_hash IS NOT NULL, external
      FROM users
     WHERE user_id = :user_id
"""
BY_NAME = """
    SELECT user_id, name, external
      FROM users
     WHERE folded_name = :folded_name
     ORDER BY user_id
     LIMIT :count
"""
BY_EXTERNAL = """
    SELECT user_id, name, external
      FROM users
     WHERE external = :external
     LIMIT :count
"""
SCORES = """
    SELECT level_id, period, score, reached_at
      FROM scores
     WHERE user_id = :user_id
     ORDER BY level_id, period
"""
SESSIONS = """
    SELECT count(*)
      FROM sessions
     WHERE user_id = :user_id AND expires_at > :now
"""
