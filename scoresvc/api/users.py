"""The calls of users about themselves."""

from __future__ import annotations

from scoresvc.api.limits import Client
from scoresvc.api.sessions import find_session
from scoresvc.errors import Unauthorized
from scoresvc.scores import ClaimedUser, NamedUser
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def claim(store: Store, client: Client, user_id: int, session_key: str) -> Write[ClaimedUser]:
    _require_user(store, client, user_id, session_key)
    return store.users.claim(user_id)


def name(store: Store, user_id: int) -> NamedUser:
    return store.users.name_of(user_id)


def set_name(store: Store, client: Client, user_id: int, name: str, session_key: str) -> Write[NamedUser]:
    _require_user(store, client, user_id, session_key)
    return store.users.rename(user_id, name)


def delete_name(store: Store, client: Client, user_id: int, session_key: str) -> Write[NamedUser]:
    _require_user(store, client, user_id, session_key)
    return store.users.rename(user_id, None)


def _require_user(store: Store, client: Client, user_id: int, session_key: str) -> None:
    """Raises Unauthorized, also where the session is another user's."""
    if find_session(store, client, session_key).user_id != user_id:
        raise Unauthorized
