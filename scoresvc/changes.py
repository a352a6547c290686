"""Tells every process on a database which levels have just changed, through memory that they share."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

SLOTS = 4096  # levels share a slot when they are equal modulo this
BYTES = 8 * SLOTS


class Changes:
    """A mark for each level, another one after each change.

    A reader looks at the mark first, then reads the database: for as long as the mark
    stays, nothing that was acknowledged is missing from what it read. Raises OSError
    where the file at `path` cannot be made.
    """

    def __init__(self, path: Path) -> None:
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END) < BYTES:
                # Written, not left a hole: on a full disk a change to a hole would end the process.
                file.write(bytes(BYTES))
                file.flush()
            self._memory = mmap.mmap(file.fileno(), BYTES)
        self._marks = memoryview(self._memory).cast("Q")

    def mark(self, level_id: int) -> int:
        return self._marks[level_id % SLOTS]

    def note(self, level_id: int) -> None:
        """To be called after the commit and before it is acknowledged."""
        self._marks[level_id % SLOTS] = time.monotonic_ns()

    def close(self) -> None:
        self._marks.release()
        self._memory.close()
