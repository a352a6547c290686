"""Makes small checkpoints while much is deleted.

Theory of operation: rows that expire are all over the file, so each slice of a purge adds many pages to the log. Then
the checkpoint of a full log comes often, and the posts behind it wait for 8,000 pages. A few hundred at a time they
hardly notice.
"""

from __future__ import annotations

from contextlib import suppress

from scoresvc.storage.sqlite.library import sqlite3

SLICES = 5  # between two checkpoints


class SliceCheckpoints:
    def __init__(self) -> None:
        self._slices = 0

    def after_slice(self, connection: sqlite3.Connection) -> None:
        """To be called after the commit. Never raises: a fault of the disk is found by the next commit."""
        self._slices += 1
        if self._slices % SLICES == 0:
            with suppress(sqlite3.DatabaseError):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
