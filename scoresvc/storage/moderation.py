"""Carries out what operators want, the same way on every engine.

Theory of operation: an action changes states of submissions, a ban or the settings of a level; then the boards of
those users and levels are made again from the submissions, see rebuilding.py. All of it happens in one transaction of
a `Ledger`, which the engine opens, and takes back where a refusal is raised. What an action did is recorded in parts:
`after` has "submissions" (how many it changed), "ban", "name" or "settings", and by that part it is undone. A
submission knows the action that changed its state last and the state before; so an action can be undone only while all
that it changed still know it. Undoing is an action, too, with the same part, so it can be undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scoresvc.actions import (
    Action,
    ActionRecord,
    AddToken,
    ApproveSubmission,
    BanUser,
    ClearLevel,
    EndBan,
    EndSecret,
    EndToken,
    EraseUser,
    RemoveScore,
    RemoveSubmission,
    RenameUser,
    ResetLevel,
    RestoreSubmission,
    SetLevel,
    UndoAction,
)
from scoresvc.errors import NoSuchAction, NoSuchToken, NotUndoable, TokenExists
from scoresvc.scores import Timestamp
from scoresvc.storage.bans import ban_user, end_ban, undo_ban
from scoresvc.storage.ledger import Done, Ledger
from scoresvc.storage.level_changes import reset_level, set_level, undo_settings
from scoresvc.storage.renaming import end_secret, rename_user, undo_name
from scoresvc.storage.submission_states import (
    approve_submission,
    clear_level,
    remove_score,
    remove_submission,
    restore_submission,
    undo_states,
)


def perform(ledger: Ledger, actor: str, action: Action, now: int) -> ActionRecord | None:
    """Does an action at a time in Unix microseconds, and records it; None where there was nothing to do.

    Raises BadValue, NoScore, NoSuchSubmission, NoSuchAction, NoSuchToken, TokenExists, NameTaken, HasScores,
    Superseded, NotUndoable: then the transaction is to be taken back.
    """
    action_id = ledger.next_action_id()
    done = ACTIONS[type(action)](ledger, action, action_id)
    if done is None:
        return None
    kind = str(action.__struct_config__.tag)
    record = ActionRecord(
        action_id, kind, actor, Timestamp(now), done.level_id, done.user_id, done.submission_id, done.before,
        done.after, done.undoes,
    )  # fmt: skip
    ledger.record(record)
    return record


def _erase_user(ledger: Ledger, action: EraseUser, action_id: int) -> Done | None:
    for level_id in ledger.levels_of(action.user_id):
        ledger.lock_level(level_id)
    return Done({}, {}) if ledger.delete_user(action.user_id) else None


def _add_token(ledger: Ledger, action: AddToken, action_id: int) -> Done | None:
    rights = " ".join(action.rights)
    if not ledger.add_token(action.name, action.token_hash, rights, action.levels, action.expires_at):
        raise TokenExists
    return Done({}, {"token": action.name, "rights": rights, "levels": action.levels})


def _end_token(ledger: Ledger, action: EndToken, action_id: int) -> Done | None:
    if not ledger.delete_token(action.name):
        raise NoSuchToken
    return Done({"token": action.name}, {})


def _undo(ledger: Ledger, action: UndoAction, action_id: int) -> Done | None:
    record = ledger.action(action.action_id)
    if record is None:
        raise NoSuchAction
    part = next((part for part in UNDOING if part in record.after), None)
    if part is None:
        raise NotUndoable
    done = UNDOING[part](ledger, record, action_id)
    return done and done._replace(
        level_id=record.level_id, user_id=record.user_id, submission_id=record.submission_id, undoes=record.id
    )


UNDOING: dict[str, Callable[[Ledger, ActionRecord, int], Done | None]] = {
    "submissions": undo_states,
    "ban": undo_ban,
    "name": undo_name,
    "settings": undo_settings,
}
ACTIONS: dict[type[Action], Callable[[Ledger, Any, int], Done | None]] = {
    RemoveScore: remove_score,
    RemoveSubmission: remove_submission,
    RestoreSubmission: restore_submission,
    ApproveSubmission: approve_submission,
    BanUser: ban_user,
    EndBan: end_ban,
    EraseUser: _erase_user,
    RenameUser: rename_user,
    EndSecret: end_secret,
    SetLevel: set_level,
    ResetLevel: reset_level,
    ClearLevel: clear_level,
    UndoAction: _undo,
    AddToken: _add_token,
    EndToken: _end_token,
}
