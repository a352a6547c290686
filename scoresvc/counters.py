"""Numbers that several processes count together, for the metrics.

Theory of operation: the file at `path` is a table in memory that all processes of a database share. A process takes a
row of it with a lock (`fcntl`), which the system gives up when the process dies, and writes to that row alone: so no
process waits for another. The one that is asked adds up all rows. What was counted stays when a process ends, for a
total never falls; a gauge counts while the row's process lives. Threads share a row: `lock` is held while one changes
it. A file of another layout, by another version, is replaced.
"""

from __future__ import annotations

import fcntl
import mmap
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

ROWS = 64  # processes; more of them share the last one
SLOT_BYTES = 8


class Counters:
    """One number for each of `names`; for this process alone where there is no `path`. Raises OSError."""

    def __init__(self, names: Sequence[str], path: Path | None = None) -> None:
        self.lock = threading.Lock()
        self.names = tuple(names)
        self._places = {name: place for place, name in enumerate(names)}
        self._file = _open(path, _layout(names), self._size) if path else None
        self._memory = mmap.mmap(self._file.fileno() if self._file else -1, self._size)
        self._slots = memoryview(self._memory).cast("d")
        self._row = self._take_row()
        start = SLOT_BYTES * (1 + self._row * len(names))
        self.slots = memoryview(self._memory)[start : start + SLOT_BYTES * len(names)].cast("d")  # this process's row

    @property
    def _size(self) -> int:
        return SLOT_BYTES * (1 + ROWS * len(self._places))

    def place_of(self, name: str) -> int:
        """Returns where a number stands in `slots`."""
        return self._places[name]

    def add(self, place: int, amount: float) -> None:
        with self.lock:
            self.slots[place] += amount

    def totals(self) -> dict[str, float]:
        """Returns by name what all processes have counted, also those that have ended."""
        width, slots = len(self.names), self._slots.tolist()
        rows = [slots[1 + row * width : 1 + (row + 1) * width] for row in range(ROWS)]
        return dict(zip(self.names, map(sum, zip(*rows, strict=True)), strict=True))

    def gauge(self, name: str) -> float:
        """Returns the sum over the processes that live."""
        values = {row: self._slots[self._slot(row, name)] for row in range(ROWS)}
        return float(sum(value for row, value in values.items() if value and (row == self._row or self._is_taken(row))))

    def close(self) -> None:
        """Gives up the row. The memory is freed with this object, when no thread counts any more."""
        if self._file:
            self._file.close()

    def _slot(self, row: int, name: str) -> int:
        return 1 + row * len(self._places) + self._places[name]

    def _take_row(self) -> int:
        return next((row for row in range(ROWS - 1) if self._lock_row(row)), ROWS - 1)

    def _lock_row(self, row: int) -> bool:
        if self._file:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                return False
        return True

    def _is_taken(self, row: int) -> bool:
        if not self._file or not self._lock_row(row):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, row)
        return False


def _layout(names: Sequence[str]) -> bytes:
    return zlib.crc32("\n".join(names).encode()).to_bytes(SLOT_BYTES, "big")


def _open(path: Path, layout: bytes, size: int) -> IO[bytes]:
    """Opens the file, made again where it is not of this layout; those that have it mapped keep the old one."""
    if path.exists():
        file = path.open("rb+")
        if file.read(SLOT_BYTES) == layout and file.seek(0, 2) == size:
            return file
        file.close()
        path.unlink()
    file = path.open("wb+")
    # Written, not left as a hole: on a full disk a store to a hole would end the process.
    file.write(layout + bytes(size - SLOT_BYTES))
    file.flush()
    return file
