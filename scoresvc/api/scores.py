"""The call that posts a score, in its two forms."""

from __future__ import annotations

from scoresvc.errors import Unauthorized
from scoresvc.scores import PostResult
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def post(store: Store, level_id: int, score: int, session_key: str) -> Write[None]:
    return store.scores.post(level_id, _user_of(store, session_key), score)


def post_and_rank(store: Store, level_id: int, score: int, session_key: str) -> Write[PostResult]:
    return store.scores.post_and_rank(level_id, _user_of(store, session_key), score)


def _user_of(store: Store, session_key: str) -> int:
    user_id = store.sessions.user_of(session_key)
    if user_id is None:
        raise Unauthorized
    return user_id
