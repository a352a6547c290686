"""A model of a disk: what may be left of the database's files after a power cut.

- What was written is on disk for sure once a sync of its file has returned that began after the write. Before that
  each write may be there, be missing, or be torn: any of its 512-byte sectors may be there.
- A name that was made or removed is so for sure once a sync of its folder has returned. Before that the folder may
  look as after any one of its changes, in their order.
- The shared memory (-shm) is gone, as after every start of a machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.drills.trace import NOT_MODELLED, SENDING, SYNCING, Call

DATABASE = "scores.sqlite3"
FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal")
SECTOR = 512  # bytes that a disk writes whole
LUCK = (0.0, 0.1, 0.5, 0.9, 1.0)  # shares of the unsynced writes that reach the disk


class Change(NamedTuple):
    """A write, or a new length of a file."""

    ended: int  # line of the trace
    offset: int
    data: bytes | None  # None: the file ends at `offset`

    def apply(self, content: bytearray) -> None:
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        if self.data is None:
            del content[self.offset :]
        else:
            content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> Iterator[Change]:
        assert self.data is not None
        end = self.offset + len(self.data)
        while self.offset < end:
            sector_end = min(end, (self.offset // SECTOR + 1) * SECTOR)
            yield Change(self.ended, self.offset, self.data[: sector_end - self.offset])
            self = self._replace(offset=sector_end, data=self.data[sector_end - self.offset :])


class File:
    """What is surely on disk of a file, with the changes that may be."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.unsynced: list[Change] = []

    def sync(self, began: int) -> None:
        for change in self.unsynced:
            if change.ended < began:
                change.apply(self.synced)
        self.unsynced = [change for change in self.unsynced if change.ended >= began]

    def after_cut(self, chance: random.Random, luck: float) -> bytes:
        content = bytearray(self.synced)
        for change in self.unsynced:
            for part in _reaching_the_disk(change, chance, luck):
                part.apply(content)
        return bytes(content)


def _reaching_the_disk(change: Change, chance: random.Random, luck: float) -> list[Change]:
    if change.data is not None and chance.random() < 0.2:
        return [sector for sector in change.sectors() if chance.random() < 0.5]
    return [change] if chance.random() < luck else []


class Disk:
    """The database's folder as it may be on disk while the calls of a trace go by."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[str, File] = {}  # as the processes see them
        self._synced_names: dict[str, File] = {}
        self._unsynced_names: list[tuple[int, dict[str, File]]] = []  # after each change, with its line
        self.checkpoints = 0  # rounds of writes to the database itself

    def begin(self, call: Call) -> None:
        """What may have an effect from its beginning on."""
        if call.result is not None and call.result < 0:
            return
        if call.name == "unlink":
            name = self._name(call.data.decode())
            if name in self._files:
                self._rename(call, {other: file for other, file in self._files.items() if other != name})
            return
        name = self._name(call.target)
        if name not in FILES:
            return
        assert call.name not in (*NOT_MODELLED, *SENDING), f"{call.name} of {name} is not modelled"
        if call.name == "openat" and name not in self._files and "O_CREAT" in call.arguments:
            self._rename(call, {**self._files, name: File()})
        elif call.name == "pwrite64":
            self._files[name].unsynced.append(Change(call.ended, call.last_number, call.data[: call.result]))
        elif call.name == "ftruncate":
            self._files[name].unsynced.append(Change(call.ended, call.last_number, None))

    def end(self, call: Call) -> None:
        """What counts only when it is done: a sync."""
        if call.name not in SYNCING or call.result != 0:
            return
        if call.target == self._folder:
            for ended, names in self._unsynced_names:
                if ended < call.began:
                    self._synced_names = names
            self._unsynced_names = [(ended, names) for ended, names in self._unsynced_names if ended >= call.began]
        elif (name := self._name(call.target)) in self._files:
            self.checkpoints += name == DATABASE
            self._files[name].sync(call.began)

    def _name(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return name if folder == self._folder else ""

    def _rename(self, call: Call, names: dict[str, File]) -> None:
        self._files = names
        self._unsynced_names.append((call.ended, names))

    def has_unsynced_writes(self) -> bool:
        return any(file.unsynced for file in self._files.values())

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Returns the files as they could be after a power cut now."""
        luck = chance.choice(LUCK)
        names = [self._synced_names, *(names for _, names in self._unsynced_names)]
        files = names[round(luck * (len(names) - 1))]
        return {name: file.after_cut(chance, luck) for name, file in files.items()}
