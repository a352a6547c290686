"""Changes the settings of a level, with what follows for its boards."""

from __future__ import annotations

from typing import Any

import msgspec

from scoresvc.actions import ActionRecord, ResetLevel, SetLevel
from scoresvc.errors import HasScores, Superseded
from scoresvc.levels import LevelSettings, check_settings
from scoresvc.storage.ledger import Done, Ledger, OwnSettings, merge_settings
from scoresvc.storage.rebuilding import adopt, make_boards_again


def set_level(ledger: Ledger, action: SetLevel, action_id: int) -> Done | None:
    ledger.lock_level(action.level_id)
    own = (_own_settings(ledger, action.level_id) or {}) | action.settings
    set_here = {name: value for name, value in own.items() if value is not None}
    return put_settings(ledger, action.level_id, set_here or None, action.rebuild)


def reset_level(ledger: Ledger, action: ResetLevel, action_id: int) -> Done | None:
    ledger.lock_level(action.level_id)
    return put_settings(ledger, action.level_id, None, action.rebuild)


def undo_settings(ledger: Ledger, record: ActionRecord, action_id: int) -> Done | None:
    level_id = record.level_id
    assert level_id is not None
    ledger.lock_level(level_id)
    if ledger.last_action("settings", level_id, None) != record.id:
        raise Superseded
    return put_settings(ledger, level_id, record.before["settings"], True)


def put_settings(ledger: Ledger, level_id: int, own: OwnSettings | None, rebuild: bool) -> Done | None:
    """Puts what is set for a level in place of what there is. Raises BadSetting, and HasScores without `rebuild`."""
    has_scores = ledger.has_scores(level_id)
    old_own, old = _own_settings(ledger, level_id), ledger.settings_of(level_id)
    new = check_settings(merge_settings(ledger.defaults, own, has_scores=False))
    new_own = _as_json(_pin_ranking(own, new, ledger.defaults) if has_scores else own)
    if new_own == old_own:
        return None
    ranks_differ = has_scores and (old.order, old.keep) != (new.order, new.keep)
    if ranks_differ and not rebuild:
        raise HasScores
    after: dict[str, Any] = {"settings": new_own}
    if ranks_differ or not set(new.periods).issubset(old.periods):
        adopted = _adopt_all(ledger, level_id, old)
        ledger.put_settings(level_id, new_own)
        for user_id in list(ledger.users_of(level_id)):
            make_boards_again(ledger, level_id, user_id)
        after |= {"without_submission": adopted} if ranks_differ else {}
    else:
        ledger.put_settings(level_id, new_own)
    return Done({"settings": old_own}, after, level_id)


def _own_settings(ledger: Ledger, level_id: int) -> OwnSettings | None:
    """Returns what is set for the level; where it has scores, with the order and the keeping that ranked them."""
    own = ledger.own_settings(level_id)
    if not ledger.has_scores(level_id):
        return own
    return _pin_ranking(own, ledger.settings_of(level_id), ledger.defaults)


def _pin_ranking(own: OwnSettings | None, settings: LevelSettings, defaults: LevelSettings) -> OwnSettings | None:
    """Sets order and keep for the level itself where they would not be the same without, see `merge_settings`."""
    own = dict(own or {})
    built_in = LevelSettings()
    for name in ("order", "keep"):
        value = getattr(settings, name)
        if {value} != {getattr(built_in, name), getattr(defaults, name)}:
            own[name] = value
    return own or None


def _adopt_all(ledger: Ledger, level_id: int, settings: LevelSettings) -> int:
    """Returns how many scores of all time had no submission."""
    return sum([adopt(ledger, level_id, user_id, settings) for user_id in list(ledger.users_of(level_id))])


def _as_json(own: OwnSettings | None) -> OwnSettings | None:
    """Returns settings as they are when they have been stored."""
    decoded: OwnSettings | None = msgspec.json.decode(msgspec.json.encode(own))
    return decoded
