"""Decides who a user is, the same way on every engine.

Theory of operation: whatever is decided here is decided in the transaction that changes it, by what a `UserLedger`
reads there. A refusal is raised before anything is changed. So of two who claim one number, or take one name, at the
same time, one is refused.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple, Protocol

from scoresvc.blocked_names import BlockedWords, read_blocked_words
from scoresvc.config import UserOptions
from scoresvc.errors import BadName, Banned, Claimed, LoginByServerOnly, NameTaken, StartError
from scoresvc.limits import UINT31_MAX
from scoresvc.lookalikes import fold
from scoresvc.scores import NewUser, Session

CANDIDATES = 16  # numbers that are tried for a new user


class UserName(NamedTuple):
    text: str
    folded: str  # as names are compared


class StoredUser(NamedTuple):
    """A row of `users`; a user of whom nothing is known has none."""

    user_id: int
    secret_hash: bytes | None = None
    name: str | None = None
    folded_name: str | None = None
    external: str | None = None


class Entrance(NamedTuple):
    """Somebody who begins a session.

    `candidates` are the user; or, for a new one with a secret or a text of the game's server, numbers of which the
    first that is free is taken.
    """

    candidates: tuple[int, ...]
    secret_hash: bytes | None = None
    external: str | None = None
    name: UserName | None = None


class UserLedger(Protocol):
    """Reads and writes of one transaction."""

    def user(self, user_id: int) -> StoredUser:
        """Returns what is stored; nobody else changes it until the transaction ends."""

    def user_of(self, external: str) -> int | None:
        """Returns the user whom the game's server knows by this text; nobody else gets it meanwhile."""

    def is_free(self, user_id: int) -> bool:
        """Returns whether nothing at all is stored about a user."""

    def is_name_taken(self, folded_name: str, user_id: int) -> bool:
        """Returns whether a user other than `user_id` has such a name; nobody else takes one meanwhile."""

    def is_banned(self, user_id: int) -> bool:
        """Returns whether the user may neither log in nor post."""

    def put_user(self, user: StoredUser) -> None:
        """Stores a user in place of what there is; one of whom nothing is known is deleted."""


class NameRules:
    """The rules of the operator for names. Raises StartError where the file of blocked words is wrong."""

    def __init__(self, options: UserOptions) -> None:
        self.are_unique = options.unique_names
        try:
            self._blocked = read_blocked_words(options.blocked_names) if options.blocked_names else BlockedWords()
        except ValueError as error:
            raise StartError(f"[users] blocked_names: {error}") from None

    def check(self, name: str | None) -> UserName | None:
        """Returns a name, which follows the rules of names.py, as it is stored. Raises BadName."""
        if name is None:
            return None
        if self._blocked.blocks(name):
            raise BadName("has a word that is not allowed here")
        return UserName(name, fold(name))


def enter(ledger: UserLedger, entrance: Entrance, names_are_unique: bool) -> int:
    """Stores what is new about the user, and returns who it is. Raises Banned, NameTaken."""
    known = ledger.user_of(entrance.external) if entrance.external is not None else None
    if known is None and (entrance.secret_hash or entrance.external):
        user_id = next(filter(ledger.is_free, entrance.candidates))
    else:
        user_id = entrance.candidates[0] if known is None else known
    user = ledger.user(user_id)
    if ledger.is_banned(user_id):
        raise Banned
    entered = user._replace(
        secret_hash=entrance.secret_hash or user.secret_hash, external=entrance.external or user.external
    )
    if entrance.name:
        entered = _renamed(ledger, entered, entrance.name, names_are_unique)
    if entered != user:
        ledger.put_user(entered)
    return user_id


def claim(ledger: UserLedger, user_id: int, secret_hash: bytes) -> None:
    """Raises Claimed."""
    user = ledger.user(user_id)
    if user.secret_hash is not None:
        raise Claimed
    ledger.put_user(user._replace(secret_hash=secret_hash))


def rename(ledger: UserLedger, user_id: int, name: UserName | None, names_are_unique: bool) -> str | None:
    """Gives a user a name, or takes it away; returns the one before. Raises NameTaken."""
    user = ledger.user(user_id)
    renamed = _renamed(ledger, user, name, names_are_unique) if name else user._replace(name=None, folded_name=None)
    if renamed != user:
        ledger.put_user(renamed)
    return user.name


def _renamed(ledger: UserLedger, user: StoredUser, name: UserName, names_are_unique: bool) -> StoredUser:
    if names_are_unique and name.folded != user.folded_name and ledger.is_name_taken(name.folded, user.user_id):
        raise NameTaken
    return user._replace(name=name.text, folded_name=name.folded)


def draw_candidates() -> tuple[int, ...]:
    """Returns numbers for a new user, at random, so that nobody can tell who came before or after."""
    return tuple([secrets.randbelow(UINT31_MAX + 1) for _ in range(CANDIDATES)])


def require_logins(options: UserOptions) -> None:
    """Raises LoginByServerOnly."""
    if options.logins == "server":
        raise LoginByServerOnly


def make_new_user(session: Session, secret: str, name: str | None) -> NewUser:
    return NewUser(session.user_id, name, secret, session.key, session.expires_at)


def as_it_is(session: Session) -> Session:
    return session


def ignore() -> None:
    return None


def is_stored(user: StoredUser) -> bool:
    """Returns whether anything is known of a user."""
    return any(field is not None for field in user[1:])
