"""A version for each level, in a file that all processes of a database share.

Theory of operation: the writer calls `advance` for every level that a commit has changed, after the commit and before
the write is acknowledged. A reader, in any thread of any process, takes `version_of` the level first and then reads
the database. So for as long as the version stays the same, nothing that was acknowledged is missing from what was
read. To read first and take the version afterwards, or to acknowledge before `advance`, breaks that. The file
`.changes` stands beside the database; what is in it means nothing after a restart. A level shares its slot with every
4,096th other one, which costs only a needless read. The file is not mapped into memory: where somebody truncates it, a
process that had done so would die of SIGBUS; here it reads as zeros, which are another version, too.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

SLOTS = 4096
SLOT_BYTES = 8

log = logging.getLogger("scoresvc.database")


class LevelVersions:
    """Raises OSError where the file at `path` cannot be made."""

    def __init__(self, path: Path) -> None:
        size = SLOTS * SLOT_BYTES
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END) < size:
                file.write(bytes(size))  # so that a disk which fills up later has room for it
        self._file = path.open("r+b", buffering=0)

    def version_of(self, level_id: int) -> bytes:
        return os.pread(self._file.fileno(), SLOT_BYTES, level_id % SLOTS * SLOT_BYTES)

    def advance(self, level_id: int) -> None:
        version = time.monotonic_ns().to_bytes(SLOT_BYTES, "little")
        try:
            os.pwrite(self._file.fileno(), version, level_id % SLOTS * SLOT_BYTES)
        except OSError as error:  # truncated on a disk that is full by now; caches are short-lived by themselves
            log.error("cannot tell other processes of a change: %s", error.strerror)

    def close(self) -> None:
        self._file.close()
