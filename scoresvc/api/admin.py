"""The calls of operators, and of the game's own server."""

from __future__ import annotations

from typing import Any

from scoresvc.actions import (
    ActionPage,
    ActionRecord,
    ApproveSubmission,
    BanUser,
    ClearLevel,
    EndBan,
    EndSecret,
    EraseUser,
    HeldPosts,
    RemoveScore,
    RemoveSubmission,
    RenameUser,
    ResetLevel,
    RestoreSubmission,
    SetLevel,
    SubmissionPage,
    UndoAction,
    UserMatches,
    UserRecord,
)
from scoresvc.api.scores import check_bounds
from scoresvc.errors import BadNumber, BadValue, ConflictingParameters
from scoresvc.levels import LevelSettings
from scoresvc.periods import PeriodWish
from scoresvc.scores import PostDetails, PostResult, Replay, Session
from scoresvc.storage import Store
from scoresvc.storage.write import Write

Recorded = Write[ActionRecord | None]


def submissions(
    store: Store, level_id: int, user: int | None, state: str | None, limit: int, after: str | None
) -> SubmissionPage:
    return store.admin.submissions(level_id, user, state, limit, after)


def held(store: Store, limit: int) -> HeldPosts:
    return store.admin.held(limit)


def remove_score(store: Store, actor: str, level_id: int, user_id: int, period: PeriodWish) -> Recorded:
    number = store.levels.find_period(level_id, period).number
    return store.admin.perform(actor, RemoveScore(level_id, user_id, number))


def remove(store: Store, actor: str, submission_id: int) -> Recorded:
    return store.admin.perform(actor, RemoveSubmission(submission_id))


def restore(store: Store, actor: str, submission_id: int) -> Recorded:
    return store.admin.perform(actor, RestoreSubmission(submission_id))


def approve(store: Store, actor: str, submission_id: int) -> Recorded:
    return store.admin.perform(actor, ApproveSubmission(submission_id))


def user(store: Store, user_id: int) -> UserRecord:
    return store.admin.user(user_id)


def find_users(store: Store, name: str | None, external: str | None, limit: int) -> UserMatches:
    """Raises BadValue where there is neither `name` nor `external`."""
    if name is None and external is None:
        raise BadValue("name", "or external must be given")
    return store.admin.find_users(name, external, limit)


def ban(store: Store, actor: str, user_id: int, reason: str, until: int | None, hide: bool) -> Recorded:
    return store.admin.perform(actor, BanUser(user_id, reason, until, hide))


def unban(store: Store, actor: str, user_id: int) -> Recorded:
    return store.admin.perform(actor, EndBan(user_id))


def erase(store: Store, actor: str, user_id: int) -> Recorded:
    return store.admin.perform(actor, EraseUser(user_id))


def set_name(store: Store, actor: str, user_id: int, name: str) -> Recorded:
    return store.admin.perform(actor, RenameUser(user_id, name))


def delete_name(store: Store, actor: str, user_id: int) -> Recorded:
    return store.admin.perform(actor, RenameUser(user_id, None))


def end_secret(store: Store, actor: str, user_id: int) -> Recorded:
    return store.admin.perform(actor, EndSecret(user_id))


def level(store: Store, level_id: int) -> LevelSettings:
    return store.levels.settings_of(level_id)


def set_level(store: Store, actor: str, level_id: int, settings: dict[str, Any], rebuild: bool) -> Recorded:
    return store.admin.perform(actor, SetLevel(level_id, settings, rebuild))


def reset_level(store: Store, actor: str, level_id: int, rebuild: bool) -> Recorded:
    return store.admin.perform(actor, ResetLevel(level_id, rebuild))


def clear_level(store: Store, actor: str, level_id: int) -> Recorded:
    return store.admin.perform(actor, ClearLevel(level_id))


def post(
    store: Store, level_id: int, score: int, user: int, name: str | None, meta: str | None, post_key: str | None
) -> Write[PostResult | Replay] | Write[None]:
    check_bounds(score, store.levels.settings_of(level_id))
    return store.scores.post(level_id, user, score, PostDetails(name, meta, post_key))


def post_and_rank(
    store: Store, level_id: int, score: int, user: int, name: str | None, meta: str | None, post_key: str | None
) -> Write[PostResult | Replay]:
    check_bounds(score, store.levels.settings_of(level_id))
    return store.scores.post_and_rank(level_id, user, score, PostDetails(name, meta, post_key))


def log_in(store: Store, user: int | None, external: str | None, name: str | None) -> Write[Session]:
    """Raises BadNumber where there is neither `user` nor `external`, ConflictingParameters where there are both."""
    if user is None and external is None:
        raise BadNumber("user")
    if user is not None and external is not None:
        raise ConflictingParameters("user", ("external",))
    return store.sessions.log_in_for_server(user, external, name)


def actions(store: Store, limit: int, after: str | None) -> ActionPage:
    return store.admin.actions(limit, after)


def undo(store: Store, actor: str, action_id: int) -> Recorded:
    return store.admin.perform(actor, UndoAction(action_id))
