"""What every engine of the storage offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from scoresvc.actions import (
    ActionPage,
    ActionRecord,
    AnyAction,
    HeldPosts,
    SubmissionPage,
    Token,
    UserMatches,
    UserRecord,
)
from scoresvc.counters import Counters
from scoresvc.levels import LevelSettings
from scoresvc.periods import Period, PeriodWish
from scoresvc.rows import Outcome, Row, Selection
from scoresvc.scores import (
    NO_DETAILS,
    ActiveSession,
    Board,
    ClaimedUser,
    LevelPage,
    NamedUser,
    NewUser,
    PeriodPage,
    PostDetails,
    PostResult,
    Replay,
    Session,
    Standing,
    UserScores,
)
from scoresvc.storage.recent import RecentReads
from scoresvc.storage.write import Write

COUNTERS = ("commits", "commit_writes", "waiting_writes")
WRITE_WAIT_MAX = 5.0  # seconds; then the service is not ready


class WouldBlock(Exception):
    """A read has to wait for a server, or takes long, and an event loop must not."""


# Stores a chunk of rows of one kind, in mode "best" or "replace"; returns an outcome for each. Raises StartError.
ImportChunk = Callable[[str, list[Any], str], list[Outcome]]


class Export(Protocol):
    """Reads rows of one snapshot."""

    def count(self, what: str) -> int:
        """Returns how many rows there are of a kind, whatever is selected of them."""

    def rows(self, what: str, selection: Selection) -> Iterator[Row]: ...


class Sizes(NamedTuple):
    sessions: int  # that are valid
    players: int  # users with a score
    database_bytes: int  # with the write-ahead log, where that is beside it


class SessionStore(Protocol):
    """Begins sessions and finds them by key. Methods raise Unavailable where the database cannot serve them."""

    def log_in(
        self, user_id: int, secret: str | None = None, name: str | None = None, on_wrong: Callable[[], object] = ...
    ) -> Write[Session]:
        """Begins a session, which is stored when the write is done, and gives the user a name.

        Calls `on_wrong` before it refuses a secret. It, or the write, raises LoginByServerOnly, SecretNeeded, Banned,
        BadName, NameTaken, and what `on_wrong` raises.
        """

    def log_in_for_server(self, user_id: int | None, external: str | None, name: str | None) -> Write[Session]:
        """As `log_in`, without a secret: of a user, or of the one whom the game's server knows by `external`."""

    def create_user(self, name: str | None) -> Write[NewUser]:
        """Begins a session of a user of whom nothing is stored. Raises as `log_in`."""

    def find(self, key: str) -> ActiveSession | None:
        """Returns None where no session has this key, or it has expired."""

    def delete_expired(self, count: int) -> int:
        """Deletes `count` sessions at most that have expired; returns how many."""


class UserStore(Protocol):
    """Knows users by more than their number. Methods raise Unavailable where the database cannot serve them."""

    def claim(self, user_id: int) -> Write[ClaimedUser]:
        """Gives a user a secret, which every login needs from then on. The write raises Claimed."""

    def rename(self, user_id: int, name: str | None) -> Write[NamedUser]:
        """Gives a user a name, or takes it away. It, or the write, raises BadName, NameTaken."""

    def name_of(self, user_id: int) -> NamedUser:
        """Returns the name as others see it: that of a user with a ban, hidden or not, is None."""


class ScoreStore(Protocol):
    """Posts scores. Methods raise Unavailable where the database takes no more.

    They, or the writes, raise Banned, BadName, NameTaken, KeyReused.
    """

    def post(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay] | Write[None]:
        """Accepts `score`, which the level's settings allow; it is on disk when the write is done.

        Gives the user a name at the same time. A post with a key that was accepted before is not stored again.
        """

    def post_and_rank(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay]:
        """As `post`; the result says what the post changed."""

    def find_replay(self, level_id: int, user_id: int, score: int, key: str) -> Replay | None:
        """Returns the answer to a post with this key, where it was stored before. Raises KeyReused."""

    def delete_old_keys(self, count: int) -> int:
        """Deletes `count` idempotency keys at most that are older than KEY_LIFETIME; returns how many."""


class BoardStore(Protocol):
    """Reads boards, each answer from one snapshot. Methods raise Unavailable where the database cannot be read."""

    def high_scores(self, level_id: int) -> str | Write[str]:
        """Returns the best 15 of a level as `<userid>=<score>,…`: best first, of equal ones who was first."""

    def page(self, level_id: int, period: Period, limit: int, after: str | None, has_meta: bool = False) -> Board:
        """Returns at most `limit` entries that follow the cursor `after`, or the first. Raises BadCursor.

        Where it `has_meta`, the entries have what was sent with the scores; so it is in `around` and `of_users`.
        """

    def around(self, level_id: int, period: Period, user_id: int, count: int, has_meta: bool = False) -> Board | None:
        """Returns a user and their neighbours, `count` in all; None for a user without a score.

        `(count - 1) // 2` stand above, the rest below; what one end lacks is taken at the other.
        """

    def of_users(self, level_id: int, period: Period, user_ids: Sequence[int], has_meta: bool = False) -> Board:
        """Returns those of the users that have a score, with their ranks on the whole board."""

    def standing(self, level_id: int, period: Period, user_id: int) -> Standing | None:
        """Returns None for a user without a score."""

    def bests(
        self, user_id: int, wish: PeriodWish, limit: int = ..., after: str | None = None
    ) -> list[tuple[int, int]]:
        """Returns level and score of `limit` boards at most of a user, by level. Raises BadPeriod, BadCursor.

        `wish` is resolved for each level; one that does not keep periods of that kind is left out.
        """

    def user_scores(self, user_id: int, wish: PeriodWish, limit: int = ..., after: str | None = None) -> UserScores:
        """As `bests`, with ranks. Where more may follow it has a cursor, also one without any score."""


class LevelStore(Protocol):
    """Reads what is set for levels, and which levels and periods there are. Methods raise Unavailable."""

    def settings_of(self, level_id: int) -> LevelSettings:
        """Returns the settings with the defaults for what is not set; as they were at most a second ago."""

    def find_period(self, level_id: int, wish: PeriodWish) -> Period:
        """Returns the period of a level. Raises BadPeriod for one in the future, NoSuchPeriod for another kind."""

    def levels(self, limit: int, after: str | None) -> LevelPage:
        """Returns levels with scores or settings that are listed, by number. Raises BadCursor."""

    def periods(self, level_id: int, kind: str, limit: int, after: str | None) -> PeriodPage:
        """Returns the periods of a kind that have scores, newest first. Raises NoSuchPeriod, BadCursor."""


class AdminStore(Protocol):
    """What operators do and read. Methods raise Unavailable."""

    def perform(self, actor: str, action: AnyAction) -> Write[ActionRecord | None]:
        """Does `action` with all that follows from it, and records it; None where there was nothing to do.

        The write raises NoScore, NoSuchSubmission, NoSuchAction, NoSuchToken, TokenExists, NameTaken, BadSetting,
        HasScores, Superseded, NotUndoable.
        """

    def maintain(self, count: int) -> int:
        """Ends a ban that has run out, and deletes old submissions and periods, of which it looks at `count` at most.

        Returns `count` where there may be more.
        """

    def token_of(self, text: str) -> Token | None:
        """Returns the token, unless it is unknown or has expired; as it was at most a second ago."""

    def has_tokens(self) -> bool: ...

    def tokens(self) -> list[Token]:
        """Returns all by name."""

    def submissions(
        self, level_id: int, user_id: int | None, state: str | None, limit: int, after: str | None
    ) -> SubmissionPage:
        """Returns submissions to a level, newest first: all, or a user's, or those in a state. Raises BadCursor."""

    def held(self, limit: int) -> HeldPosts:
        """Returns the submissions of all levels that wait for an operator, oldest first."""

    def actions(self, limit: int, after: str | None) -> ActionPage:
        """Returns the audit log, newest first. Raises BadCursor."""

    def action(self, action_id: int) -> ActionRecord | None:
        """Returns None where there is none of this number."""

    def level_of_submission(self, submission_id: int) -> int | None:
        """Returns None where there is no submission of this number."""

    def user(self, user_id: int) -> UserRecord: ...

    def find_users(self, name: str | None, external: str | None, limit: int) -> UserMatches:
        """Returns users whose name looks like `name`, or whom the game's server knows by `external`, by number."""


class AdminAccess(NamedTuple):
    """What a command of operators works with; methods raise Unavailable."""

    admin: AdminStore
    settings_of: Callable[[int], LevelSettings]  # of a level

    def perform(self, actor: str, action: AnyAction) -> ActionRecord | None:
        """Waits until `action` is done, see `AdminStore.perform`."""
        return self.admin.perform(actor, action).result()

    def tokens(self) -> list[Token]:
        return self.admin.tokens()


class Store(NamedTuple):
    """All that is stored. The numbers that come in are valid, 0 to 2147483647."""

    sessions: SessionStore
    users: UserStore
    scores: ScoreStore
    boards: BoardStore
    levels: LevelStore
    admin: AdminStore
    engine: str  # its name and version
    schema: int  # the version of the database's tables
    counters: Counters  # of COUNTERS at least
    measure: Callable[[], Sizes]  # raises Unavailable
    find_fault: Callable[[], str]  # why it cannot be read or takes no writes; empty where nothing is known to be wrong
    oldest_write: Callable[[], float]  # seconds that the oldest unfinished write has waited
    last_backup: Callable[[], float | None]  # Unix seconds; None where none is known
    recent: RecentReads
    close: Callable[[], None]  # commits what waits and closes the database
    for_loop: Store | None = None  # the same for an event loop: raises WouldBlock where that one waits, or takes long
    reads_wait: bool = False  # whether a read that raises WouldBlock waits for a server; or else it takes CPU time
