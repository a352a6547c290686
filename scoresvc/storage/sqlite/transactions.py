"""Commits a batch of writes in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.library import fsync_failed, is_busy, is_fault, sqlite3
from scoresvc.storage.write import Write

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

Batch = list[Write[Any]]

FAULT_AGE_MAX = 10.0  # seconds
VERIFIED_FOR = 0.01  # seconds: that long nobody looks at the files again before a batch

log = logging.getLogger("scoresvc.database")


def _nothing(connection: sqlite3.Connection, rows: Any, outputs: Any) -> None:
    return None


# Gets rows and returns outputs, both by name of the change.
Together = Callable[[sqlite3.Connection, Mapping[str, list[Any]]], Mapping[str, Iterable[Any]]]


def ignore(count: int) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Change(Generic[R, T]):
    """A kind of change to the database, made for all the rows that gathered for it at once.

    `apply` returns one output for each row; it may be called again after a rollback. Rows and outputs are numbers,
    bytes, text, None, and tuples of them, so that they can be sent to another process, which knows the change by its
    `name`. `after_commit` is called by the writer with all rows and their outputs, before the writes are acknowledged;
    it must not raise. `together`, where it is given, makes all changes that have the same one in a single SQL
    statement, which is atomic by itself: it needs no BEGIN and no COMMIT. What `comes_last` is made after all others
    of a batch: it changes what these have read before the transaction, such as the settings of levels.
    """

    name: str
    apply: Callable[[sqlite3.Connection, list[R]], Iterable[T]]
    after_commit: Callable[[sqlite3.Connection, list[R], list[T]], object] = _nothing
    together: Together | None = None
    comes_last: bool = False


class Begin(Protocol):
    """How a write is begun, in whatever process the writer is."""

    def __call__(self, change: Change[R, T], row: R, convert: Callable[[T], U]) -> Write[U]:
        """Begins `change` for `row`; the result is what `convert` makes of its output.

        Rows that gather for the same change are made together. The write's result raises Unavailable where the
        database cannot take it, and what the change raised. Raises Unavailable where no more writes may wait.
        """


class Transactions:
    """The transactions of the one writing connection; for the writer's thread alone.

    A change that fails fails alone, a commit that fails fails its whole batch. `verify_files` raises FilesChanged where
    the files of the database are not those that were opened. `on_commit` is called with the number of writes in each.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        verify_files: Callable[[], None],
        on_commit: Callable[[int], object] = ignore,
    ) -> None:
        self._connection = connection
        self._verify_files = verify_files
        self._on_commit = on_commit
        self._verified_at = -VERIFIED_FOR  # of time.monotonic
        self._fault = ""
        self._failed_at = -FAULT_AGE_MAX  # of time.monotonic
        self.is_locked_out = False  # whether another program held the database at the last attempt

    def commit(self, batch: Batch) -> None:
        """Makes the changes of a batch, commits, then finishes each write, and empties `batch`.

        Where another program holds the database, nothing is done, and what is not finished stays in
        `batch`. Raises DatabaseError after a failed fsync and FilesChanged where the files are not those that were
        opened: nobody knows then what is on disk, and this object is not to be used again.
        """
        if time.monotonic() - self._verified_at > VERIFIED_FOR:
            self._verify()  # before a checkpoint mixes them with what is there now
        changes = _by_change(batch)
        try:
            self._make_changes(changes)
        except Exception as error:
            if not self._is_locked_out_by(error):
                self._run_separately(batch, error)
            return
        self.is_locked_out = False
        try:
            self._connection.commit()  # gives up the interpreter's lock less often than a statement does
        except sqlite3.DatabaseError as error:
            self._roll_back()
            self._fail_unavailable(batch, error)
            return
        self._log_fault("")
        self._verify()
        self._acknowledge(changes)
        batch.clear()

    def _verify(self) -> None:
        self._verify_files()
        self._verified_at = time.monotonic()

    def _acknowledge(self, changes: Mapping[Change[Any, Any], Batch]) -> None:
        # For all of them before any callback: who learns of one write may ask for what another has changed.
        for change, writes in changes.items():
            change.after_commit(self._connection, *_rows_and_outputs(writes))
        self._on_commit(sum(map(len, changes.values())))
        for writes in changes.values():
            for write in writes:
                write.finish()

    def recent_fault(self) -> str:
        """Returns why writing failed a moment ago; whether it still does, only another write can tell."""
        return self._fault if time.monotonic() - self._failed_at < FAULT_AGE_MAX else ""

    def _make_changes(self, changes: Mapping[Change[Any, Any], Batch]) -> None:
        together = next(iter(changes)).together
        if together and all(change.together == together for change in changes):
            rows = {change.name: [write.row for write in writes] for change, writes in changes.items()}
            outputs = together(self._connection, rows)
            for change, writes in changes.items():
                _set_outputs(writes, outputs[change.name])
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for change, writes in changes.items():
            _set_outputs(writes, change.apply(self._connection, [write.row for write in writes]))

    def _is_locked_out_by(self, error: Exception) -> bool:
        """Returns whether another program holds the database, so that nothing was done yet."""
        if self._connection.in_transaction or not is_busy(error):
            return False
        self.is_locked_out = True
        self._log_fault(str(error))
        return True

    def _run_separately(self, batch: Batch, error: Exception) -> None:
        """After a change failed: fails it, and runs the others again where the database is healthy."""
        is_healthy = self._roll_back() or not is_fault(error)
        if len(batch) == 1 or not is_healthy:
            self._fail(batch, error)
            return
        while batch:
            alone = batch[:1]
            self.commit(alone)
            if alone:  # another program came in between: this one waits with the rest
                return
            del batch[0]

    def _roll_back(self) -> bool:
        """Returns False where SQLite had rolled back already, as it does after most faults of the disk."""
        if not self._connection.in_transaction:
            return False
        self._connection.execute("ROLLBACK")
        return True

    def _fail(self, batch: Batch, error: Exception) -> None:
        if is_fault(error):
            self._fail_unavailable(batch, error)
            return
        for write in batch:
            write.fail(error)
        batch.clear()

    def _fail_unavailable(self, batch: Batch, error: Exception) -> None:
        if fsync_failed(error):
            raise error
        self._log_fault(str(error))
        for write in batch:
            write.fail(Unavailable())
        batch.clear()

    def _log_fault(self, fault: str) -> None:
        """Logs once that writing fails, and once that it works again."""
        if fault:
            self._failed_at = time.monotonic()
        if fault == self._fault:
            return
        self._fault = fault
        if fault:
            log.error("cannot write: %s", fault)
        else:
            log.warning("can write again")


def _by_change(batch: Batch) -> dict[Change[Any, Any], Batch]:
    """The writes of one batch came at the same time: but for one that comes last, their changes have no order."""
    writes: dict[Change[Any, Any], Batch] = {}
    for write in batch:
        writes.setdefault(write.change, []).append(write)
    return dict(sorted(writes.items(), key=lambda each: each[0].comes_last)) if len(writes) > 1 else writes


def _set_outputs(writes: Batch, outputs: Iterable[Any]) -> None:
    for write, output in zip(writes, outputs, strict=True):
        write.output = output


def _rows_and_outputs(writes: Batch) -> tuple[list[Any], list[Any]]:
    return [write.row for write in writes], [write.output for write in writes]
