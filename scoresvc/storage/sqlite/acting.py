"""Carries out the actions of operators in the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from scoresvc import errors
from scoresvc.actions import ActionRecord, AnyAction
from scoresvc.config import Config
from scoresvc.errors import Refusal
from scoresvc.scores import Timestamp
from scoresvc.storage.moderation import perform
from scoresvc.storage.sqlite.ledger import SqliteLedger
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Change, log
from scoresvc.storage.sqlite.versions import LevelVersions

ACT = "act"  # the name of the change

REFUSALS: dict[str, type[Refusal]] = {
    each.code: each
    for each in (
        errors.NoScore,
        errors.NoSuchSubmission,
        errors.NoSuchAction,
        errors.NoSuchToken,
        errors.TokenExists,
        errors.NameTaken,
        errors.BadSetting,
        errors.BadValue,
        errors.HasScores,
        errors.Superseded,
        errors.NotUndoable,
    )
}


class Announcer:
    """Lets all processes drop from their caches what a commit has changed; for the writer alone."""

    def __init__(self, versions: LevelVersions) -> None:
        self._versions = versions
        self._is_in_log = False  # whether something that was erased is still in the write-ahead log

    def announce(self, connection: sqlite3.Connection, touched: Touched) -> None:
        """To be called after the commit, before the writes are acknowledged. Never raises."""
        for level_id in touched.levels:
            self._versions.advance(level_id)
        for key in touched.rules:
            self._versions.advance_rule(key)
        if touched.has_erased or self._is_in_log:
            self._is_in_log = not _empty_log(connection)


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Returns whether the write-ahead log is empty now; a reader may prevent it for a while."""
    try:
        ((is_busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error:
        log.exception("what was erased is still in the write-ahead log")
        return False
    return not is_busy


class Acting:
    """What the writer does for actions; `clock` returns Unix seconds.

    A row is who acts with the action; an output is the code and the sentence of a refusal, or the fields of a record.
    Both are MessagePack, which another process can read. There is no savepoint to take back an action that is refused:
    with temporary files in memory, each statement after it would take the longer the more has changed since. Actions
    are refused before they change anything.
    """

    def __init__(self, announcer: Announcer, config: Config, clock: Callable[[], float]) -> None:
        self._announcer = announcer
        self._levels = config.levels
        self._names_are_unique = config.users.unique_names
        self._clock = clock
        self._touched = Touched()
        self._decoder = msgspec.msgpack.Decoder(tuple[str, AnyAction])
        self.act = Change(ACT, self._act, self._after_commit, comes_last=True)

    def _act(self, connection: sqlite3.Connection, rows: list[bytes]) -> list[bytes]:
        self._touched = Touched()
        return [self._act_one(connection, *self._decoder.decode(row)) for row in rows]

    def _act_one(self, connection: sqlite3.Connection, actor: str, action: AnyAction) -> bytes:
        now = int(self._clock() * 1_000_000)
        ledger = SqliteLedger(connection, self._touched, self._levels, now, self._names_are_unique)
        before = connection.total_changes
        try:
            record = perform(ledger, actor, action, now)
        except Refusal as refusal:
            if connection.total_changes != before:
                raise  # so that the transaction is taken back
            output: tuple[str | None, Any] = (refusal.code, str(refusal))
        else:
            output = (None, record and msgspec.structs.astuple(record))
        return msgspec.msgpack.encode(output, enc_hook=int)

    def _after_commit(self, connection: sqlite3.Connection, rows: list[bytes], outputs: list[bytes]) -> None:
        self._announcer.announce(connection, self._touched)


def write_row(actor: str, action: AnyAction) -> bytes:
    return msgspec.msgpack.encode((actor, action))


def read_output(output: bytes) -> ActionRecord | None:
    """Returns the record, None where there was nothing to do. Raises the refusal."""
    code, fields = msgspec.msgpack.decode(output)
    if code is not None:
        refusal = REFUSALS[code]
        raise refusal.__new__(refusal, fields)  # with its sentence, whatever that was made of
    if fields is None:
        return None
    action_id, kind, actor, at, *rest = fields
    return ActionRecord(action_id, kind, actor, Timestamp(at), *rest)
