"""The call that posts a score, in its two forms."""

from __future__ import annotations

from scoresvc.api.limits import Client
from scoresvc.api.sessions import find_session
from scoresvc.errors import OutOfBounds, ServerOnly, TooFast
from scoresvc.levels import LevelSettings
from scoresvc.limits import UINT31_MAX
from scoresvc.scores import PostDetails, PostResult, Replay
from scoresvc.storage import Store
from scoresvc.storage.write import Write


def post(
    store: Store,
    client: Client,
    level_id: int,
    score: int,
    session_key: str,
    name: str | None,
    meta: str | None,
    post_key: str | None,
) -> Write[PostResult | Replay] | Write[None]:
    user_id = _find_user(store, client, level_id, score, session_key)
    return store.scores.post(level_id, user_id, score, PostDetails(name, meta, post_key))


def post_and_rank(
    store: Store,
    client: Client,
    level_id: int,
    score: int,
    session_key: str,
    name: str | None,
    meta: str | None,
    post_key: str | None,
) -> Write[PostResult | Replay]:
    user_id = _find_user(store, client, level_id, score, session_key)
    return store.scores.post_and_rank(level_id, user_id, score, PostDetails(name, meta, post_key))


def _find_user(store: Store, client: Client, level_id: int, score: int, session_key: str) -> int:
    """Returns the user who may post this. Raises Unauthorized, TooMany, ServerOnly, OutOfBounds, TooFast."""
    session = find_session(store, client, session_key)
    client.count_post(session.user_id)
    settings = store.levels.settings_of(level_id)
    if settings.posts == "server":
        raise ServerOnly
    check_bounds(score, settings)
    if settings.pace is not None and score > settings.pace * session.age:
        raise TooFast(-(-score // settings.pace))
    return session.user_id


def check_bounds(score: int, settings: LevelSettings) -> None:
    """Raises OutOfBounds."""
    lowest = 0 if settings.min is None else settings.min
    highest = UINT31_MAX if settings.max is None else settings.max
    if not lowest <= score <= highest:
        raise OutOfBounds(lowest, highest)
