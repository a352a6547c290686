"""The call that begins a session."""

from __future__ import annotations

from scoresvc.api.limits import Client
from scoresvc.scores import Session
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def log_in(store: Store, client: Client, user_id: int) -> Write[Session]:
    client.count_login()
    return store.sessions.log_in(user_id)
