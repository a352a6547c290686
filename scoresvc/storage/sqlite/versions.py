"""A version for each level and each rule, in memory that all processes of a database share.

Theory of operation: the writer calls `advance` for every level that a commit has changed, after the commit and before
the write is acknowledged. A reader, in any thread of any process, takes `version_of` the level first and then reads
the database. So for as long as the version stays the same, nothing that was acknowledged is missing from what was
read. The same holds for rules: the settings of a level and the ban of a user, by the number of the level or the user,
and the tokens; they have slots of their own, because they change less often than boards, and one more for all of them
together, by which it is known at once that nothing is set. What is stored of a user, such as sessions and a secret, has
slots again, for it changes with every login. To read first and take the
version afterwards, or to acknowledge before `advance`, breaks that. The memory is the file `.changes` beside the
database; what is in it means nothing after a restart. A level shares its slot with every 4,096th other one, which
costs only a needless read.

The file is mapped: a system call would give up the interpreter's lock at every list, and a server with threads would
read a fifth fewer lists. The price: where somebody truncates the file, the next access is a SIGBUS. It ends the
process, but with a traceback on standard error, by faulthandler, and the next start makes the file whole again.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import time
from pathlib import Path

SLOTS = 4096
TOKENS = -1  # the key of the tokens among the rules
SESSIONS = -2  # the key of all sessions: it changes when an operator ends some
SLOT_BYTES = 8
ANY_RULE = 3 * SLOTS  # the slot of all rules


def versions_path(database: Path) -> Path:
    """Returns where the versions of a database are."""
    return database.with_name(f"{database.name}.changes")


class LevelVersions:
    """Raises OSError where the file at `path` cannot be made."""

    def __init__(self, path: Path) -> None:
        if not faulthandler.is_enabled():
            faulthandler.enable()
        size = (ANY_RULE + 1) * SLOT_BYTES
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END) < size:
                # Written, not left as a hole: on a full disk a store to a hole would end the process.
                file.write(bytes(size))
                file.flush()
            self._memory = mmap.mmap(file.fileno(), size)
        self._slots = memoryview(self._memory).cast("Q")

    def version_of(self, level_id: int) -> int:
        return self._slots[level_id % SLOTS]

    def advance(self, level_id: int) -> int:
        """Returns the new version."""
        version = self._slots[level_id % SLOTS] = time.monotonic_ns()
        return version

    def rule_version_of(self, key: int) -> int:
        """Returns the version of what is set for a level, of a user's ban, or with TOKENS of all tokens."""
        return self._slots[SLOTS + key % SLOTS]

    def advance_rule(self, key: int) -> int:
        """Returns the new version."""
        version = self._slots[SLOTS + key % SLOTS] = self._slots[ANY_RULE] = time.monotonic_ns()
        return version

    def user_version_of(self, user_id: int) -> int:
        """Returns the version of a user's sessions, secret and name: the `time.monotonic_ns` of its last change."""
        return self._slots[2 * SLOTS + user_id % SLOTS]

    def advance_user(self, user_id: int) -> None:
        self._slots[2 * SLOTS + user_id % SLOTS] = time.monotonic_ns()

    def version_of_rules(self) -> int:
        """Returns a version that changes with that of each rule."""
        return self._slots[ANY_RULE]

    def close(self) -> None:
        """Who asks later reads the database, which then says what there is to say."""
        mapped, self._slots = self._slots, memoryview(bytes((ANY_RULE + 1) * SLOT_BYTES)).cast("Q")
        mapped.release()
        self._memory.close()
