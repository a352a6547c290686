"""Stores rows that are imported, the same way on every engine.

Theory of operation: rows come in chunks, each in one transaction, which leaves boards, submissions, bans and settings
consistent: `scoresvc check` finds nothing at any moment. In mode "best" a row adds what is better or was not there, and
nothing is lost; so it changes nothing when it comes again, and an import that was killed is made again. In mode
"replace" a row takes the place of what is there.

A score needs no submission, see rebuilding.py. Where there is one of the same user, level and time, the score is that
one, and must not differ. Submissions bring the boards of their users with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scoresvc.actions import ActionRecord, Ban
from scoresvc.errors import BadSetting, HasScores, NameTaken
from scoresvc.levels import read_settings
from scoresvc.lookalikes import fold
from scoresvc.rows import ActionRow, LevelRow, Outcome, SubmissionRow, UserRow
from scoresvc.scores import Timestamp
from scoresvc.storage.bans import put_ban
from scoresvc.storage.importing_scores import import_scores
from scoresvc.storage.importing_submissions import import_submissions
from scoresvc.storage.level_changes import put_settings
from scoresvc.storage.transfer_ledger import TransferLedger
from scoresvc.storage.users import StoredUser

UNCHANGED, CHANGED = Outcome(), Outcome(True)


def import_rows(ledger: TransferLedger, what: str, rows: Sequence[Any], mode: str) -> list[Outcome]:
    """Stores rows of one kind in the caller's transaction; returns an outcome for each."""
    return IMPORTING[what](ledger, rows, mode)


def _import_levels(ledger: TransferLedger, rows: Iterable[LevelRow], mode: str) -> list[Outcome]:
    return [_import_level(ledger, row, mode) for row in rows]


def _import_level(ledger: TransferLedger, row: LevelRow, mode: str) -> Outcome:
    level_id, *texts = row
    ledger.lock_level(level_id)
    if mode == "best" and ledger.own_settings(level_id) is not None:
        return UNCHANGED
    try:
        read = read_settings((name, text) for name, text in zip(LevelRow._fields[1:], texts, strict=True) if text)
        own = {name: value for name, value in read.items() if value is not None}
        return Outcome(put_settings(ledger, level_id, own or None, rebuild=False) is not None)
    except BadSetting as refusal:
        return Outcome(reason=str(refusal))
    except HasScores:
        return Outcome(reason=f"level {level_id} has scores, which another order or keep would rank again")


def _import_users(ledger: TransferLedger, rows: Iterable[UserRow], mode: str) -> list[Outcome]:
    return [_import_user(ledger, row, mode) for row in rows]


def _import_user(ledger: TransferLedger, row: UserRow, mode: str) -> Outcome:
    before = ledger.user(row.user_id)
    given = StoredUser(row.user_id, row.secret_hash, row.name, fold(row.name) if row.name else None, row.external)
    user = given if mode == "replace" else _fill(before, given)
    if user.external is not None and ledger.user_of(user.external) not in (None, row.user_id):
        return Outcome(reason="another user has the same text in external")
    is_renamed = user.folded_name is not None and user.folded_name != before.folded_name
    if is_renamed and ledger.names_are_unique and ledger.is_name_taken(user.folded_name or "", row.user_id):
        return Outcome(reason=str(NameTaken()))
    has_changed = user != before
    if has_changed:
        ledger.put_user(user)
    if row.banned or mode == "replace":
        ban = _make_ban(row)
        if mode == "replace" or ledger.ban_of(row.user_id) is None:
            has_changed = put_ban(ledger, row.user_id, ban) is not None or has_changed
    return Outcome(has_changed)


def _fill(user: StoredUser, given: StoredUser) -> StoredUser:
    """Returns what is stored of a user, with what is given where nothing is."""
    named = given if user.name is None else user
    return StoredUser(
        user.user_id,
        user.secret_hash or given.secret_hash,
        named.name,
        named.folded_name,
        given.external if user.external is None else user.external,
    )


def _make_ban(row: UserRow) -> Ban | None:
    if not row.banned:
        return None
    until = None if row.banned_until is None else Timestamp(row.banned_until)
    return Ban(row.user_id, row.reason or "", until, row.banned == "hidden")


def _import_actions(ledger: TransferLedger, rows: Iterable[ActionRow], mode: str) -> list[Outcome]:
    return [_import_action(ledger, row) for row in rows]


def _import_action(ledger: TransferLedger, row: ActionRow) -> Outcome:
    record = ActionRecord(
        row.action_id, row.kind, row.actor, Timestamp(row.acted_at), row.level_id, row.user_id, row.submission_id,
        row.before, row.after, row.undoes,
    )  # fmt: skip
    known = ledger.action(row.action_id)
    if known is None:
        ledger.record(record)
        return CHANGED
    return UNCHANGED if known == record else Outcome(reason=f"there is another action {row.action_id}")


def _import_submissions(ledger: TransferLedger, rows: Sequence[SubmissionRow], mode: str) -> list[Outcome]:
    return import_submissions(ledger, rows)


IMPORTING: dict[str, Callable[[TransferLedger, Any, str], list[Outcome]]] = {
    "levels": _import_levels,
    "users": _import_users,
    "submissions": _import_submissions,
    "actions": _import_actions,
    "scores": import_scores,
}
