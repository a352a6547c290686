"""Bans and ends bans, with what follows for the boards."""

from __future__ import annotations

from typing import Any

from scoresvc.actions import ActionRecord, Ban, BanUser, EndBan
from scoresvc.errors import BadValue, NotUndoable, Superseded
from scoresvc.scores import Timestamp
from scoresvc.storage.ledger import Done, Ledger
from scoresvc.storage.rebuilding import adopt, make_boards_again


def ban_user(ledger: Ledger, action: BanUser, action_id: int) -> Done | None:
    """Raises BadValue."""
    if action.until is not None and action.until <= ledger.now:
        raise BadValue("until", "must be later than now")
    return put_ban(ledger, action.user_id, _read_ban(action.user_id, action.reason, action.until, action.hide))


def end_ban(ledger: Ledger, action: EndBan, action_id: int) -> Done | None:
    return put_ban(ledger, action.user_id, None)


def put_ban(ledger: Ledger, user_id: int, ban: Ban | None) -> Done | None:
    """Puts a ban in place of what there is; None ends it."""
    levels = ledger.levels_of(user_id)
    for level_id in levels:
        ledger.lock_level(level_id)
    old = ledger.ban_of(user_id)
    if old == ban:
        return None
    if (old is None) != (ban is None):
        for level_id in levels:
            adopt(ledger, level_id, user_id, ledger.settings_of(level_id))
    if ban is None:
        ledger.delete_ban(user_id)
    else:
        ledger.put_ban(ban)
    for level_id in levels:
        make_boards_again(ledger, level_id, user_id)
    return Done({"ban": _write_ban(old)}, {"ban": _write_ban(ban)}, None, user_id)


def _write_ban(ban: Ban | None) -> dict[str, Any] | None:
    """Without the user, so that the record may outlive it; `until` in Unix microseconds."""
    return (
        {"reason": ban.reason, "until": None if ban.until is None else int(ban.until), "hide": ban.hide}
        if ban
        else None
    )


def undo_ban(ledger: Ledger, record: ActionRecord, action_id: int) -> Done | None:
    if record.user_id is None:
        raise NotUndoable
    if ledger.last_action("ban", None, record.user_id) != record.id:
        raise Superseded
    written = record.before["ban"]
    return put_ban(ledger, record.user_id, _read_ban(record.user_id, **written) if written else None)


def _read_ban(user_id: int, reason: str, until: int | None, hide: bool) -> Ban:
    return Ban(user_id, reason, None if until is None else Timestamp(until), hide)
