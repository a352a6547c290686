"""The calls that begin sessions."""

from __future__ import annotations

from scoresvc.api.limits import Client
from scoresvc.errors import Unauthorized
from scoresvc.scores import ActiveSession, NewUser, Session
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def create_user(store: Store, client: Client, name: str | None) -> Write[NewUser]:
    client.count_new_user()
    return store.sessions.create_user(name)


def log_in(store: Store, client: Client, user_id: int, secret: str | None, name: str | None) -> Write[Session]:
    client.count_login()
    return store.sessions.log_in(user_id, secret, name, client.count_wrong_key if secret else _ignore)


def _ignore() -> None:
    """No secret is no wrong one."""


def find_session(store: Store, client: Client, session_key: str) -> ActiveSession:
    """Raises Unauthorized, TooMany."""
    session = store.sessions.find(session_key)
    if session is None:
        client.count_wrong_key()
        raise Unauthorized
    return session
