"""Renames users for operators, and takes secrets away."""

from __future__ import annotations

from scoresvc.actions import ActionRecord, EndSecret, RenameUser
from scoresvc.errors import NotUndoable, Superseded
from scoresvc.lookalikes import fold
from scoresvc.storage.ledger import Done, Ledger
from scoresvc.storage.users import UserName, rename


def rename_user(ledger: Ledger, action: RenameUser, action_id: int) -> Done | None:
    """Gives any name, whatever words are blocked for players. Raises NameTaken."""
    return _put_name(ledger, action.user_id, action.name)


def _put_name(ledger: Ledger, user_id: int, name: str | None) -> Done | None:
    before = rename(ledger, user_id, None if name is None else UserName(name, fold(name)), ledger.names_are_unique)
    return None if before == name else Done({"name": before}, {"name": name}, None, user_id)


def undo_name(ledger: Ledger, record: ActionRecord, action_id: int) -> Done | None:
    """Raises Superseded, also where the user has taken another name since."""
    if record.user_id is None:
        raise NotUndoable
    if ledger.user(record.user_id).name != record.after["name"]:
        raise Superseded
    return _put_name(ledger, record.user_id, record.before["name"])


def end_secret(ledger: Ledger, action: EndSecret, action_id: int) -> Done | None:
    user = ledger.user(action.user_id)
    if user.secret_hash is None:
        return None
    ledger.put_user(user._replace(secret_hash=None))
    ledger.delete_sessions(action.user_id)
    return Done({}, {}, None, action.user_id)
