"""What every engine of the storage offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from scoresvc.counters import Counters
from scoresvc.scores import Board, PostResult, Session, Standing, UserScores
from scoresvc.storage.write import Write

COUNTERS = ("commits", "commit_writes", "waiting_writes")
WRITE_WAIT_MAX = 5.0  # seconds; then the service is not ready


class WouldBlock(Exception):
    """A read has to wait for a server, and an event loop must not."""


class Sizes(NamedTuple):
    sessions: int  # that are valid
    players: int  # users with a score
    database_bytes: int  # with the write-ahead log, where that is beside it


class SessionStore(Protocol):
    """Begins sessions and finds them by key. Methods raise Unavailable where the database cannot serve them."""

    def log_in(self, user_id: int) -> Write[Session]:
        """Begins a session, which is stored when the write is done."""

    def user_of(self, key: str) -> int | None:
        """Returns whose session `key` is, None where it is unknown or has expired."""

    def delete_expired(self, count: int) -> int:
        """Deletes `count` sessions at most that have expired; returns how many."""


class ScoreStore(Protocol):
    """Posts scores. Methods raise Unavailable where the database takes no more."""

    def post(self, level_id: int, user_id: int, score: int) -> Write[None]:
        """Stores `score` where it is the user's best on the level; it is on disk when the write is done."""

    def post_and_rank(self, level_id: int, user_id: int, score: int) -> Write[PostResult]:
        """As `post`; the result says what the post changed."""


class BoardStore(Protocol):
    """Reads boards, each answer from one snapshot. Methods raise Unavailable where the database cannot be read."""

    def high_scores(self, level_id: int) -> str | Write[str]:
        """Returns the best 15 of a level as `<userid>=<score>,…`: highest first, of equal ones who was first."""

    def page(self, level_id: int, limit: int, after: str | None) -> Board:
        """Returns at most `limit` entries that follow the cursor `after`, or the first. Raises BadCursor."""

    def around(self, level_id: int, user_id: int, count: int) -> Board | None:
        """Returns a user and their neighbours, `count` in all; None for a user without a score.

        `(count - 1) // 2` stand above, the rest below; what one end lacks is taken at the other.
        """

    def of_users(self, level_id: int, user_ids: Sequence[int]) -> Board:
        """Returns those of the users that have a score, with their ranks on the whole board."""

    def standing(self, level_id: int, user_id: int) -> Standing | None:
        """Returns None for a user without a score."""

    def bests(self, user_id: int) -> list[tuple[int, int]]:
        """Returns level and score of each of a user's bests, by level."""

    def user_scores(self, user_id: int) -> UserScores:
        """Returns each of a user's bests with its rank, by level."""


class Store(NamedTuple):
    """All that is stored. The numbers that come in are valid, 0 to 2147483647."""

    sessions: SessionStore
    scores: ScoreStore
    boards: BoardStore
    engine: str  # its name and version
    schema: int  # the version of the database's tables
    counters: Counters  # of COUNTERS at least
    measure: Callable[[], Sizes]  # raises Unavailable
    find_fault: Callable[[], str]  # why it cannot be read or takes no writes; empty where nothing is known to be wrong
    oldest_write: Callable[[], float]  # seconds that the oldest unfinished write has waited
    close: Callable[[], None]  # commits what waits and closes the database
    for_loop: Store | None = None  # the same, raising WouldBlock where that one waits; None where no read waits long
