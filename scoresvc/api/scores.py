"""The call that posts a score, in its two forms."""

from __future__ import annotations

from scoresvc.api.limits import Client
from scoresvc.api.sessions import find_session
from scoresvc.errors import OutOfBounds, ServerOnly, TooFast
from scoresvc.levels import LevelSettings
from scoresvc.limits import UINT31_MAX
from scoresvc.scores import ActiveSession, PostDetails, PostResult, Replay
from scoresvc.storage import Store
from scoresvc.storage.write import Write

Posted = Write[PostResult | Replay] | Write[None] | Replay


def post(
    store: Store,
    client: Client,
    level_id: int,
    score: int,
    session_key: str,
    name: str | None,
    meta: str | None,
    post_key: str | None,
) -> Posted:
    session = find_session(store, client, session_key)
    client.count_post(session.user_id)
    if replay := _check(store, session, level_id, score, post_key):
        return replay
    return store.scores.post(level_id, session.user_id, score, PostDetails(name, meta, post_key))


def post_and_rank(
    store: Store,
    client: Client,
    level_id: int,
    score: int,
    session_key: str,
    name: str | None,
    meta: str | None,
    post_key: str | None,
) -> Posted:
    session = find_session(store, client, session_key)
    client.count_post(session.user_id)
    if replay := _check(store, session, level_id, score, post_key):
        return replay
    return store.scores.post_and_rank(level_id, session.user_id, score, PostDetails(name, meta, post_key))


def _check(store: Store, session: ActiveSession, level_id: int, score: int, post_key: str | None) -> Replay | None:
    """Raises ServerOnly, OutOfBounds, TooFast; but returns the answer to a post that was stored before.

    It may come again with a session that has just begun, or after the settings have changed.
    """
    settings = store.levels.settings_of(level_id)
    try:
        _check_settings(score, session, settings)
    except (ServerOnly, OutOfBounds, TooFast):
        replay = None if post_key is None else store.scores.find_replay(level_id, session.user_id, score, post_key)
        if replay is None:
            raise
        return replay
    return None


def _check_settings(score: int, session: ActiveSession, settings: LevelSettings) -> None:
    if settings.posts == "server":
        raise ServerOnly
    check_bounds(score, settings)
    if settings.pace is not None and score > settings.pace * session.age:
        raise TooFast(-(-score // settings.pace))


def check_bounds(score: int, settings: LevelSettings) -> None:
    """Raises OutOfBounds."""
    lowest = 0 if settings.min is None else settings.min
    highest = UINT31_MAX if settings.max is None else settings.max
    if not lowest <= score <= highest:
        raise OutOfBounds(lowest, highest)
