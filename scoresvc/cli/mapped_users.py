"""The numbers of users whom another service knows by texts, in a file of CSV: `external,user`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from scoresvc.errors import StartError
from scoresvc.rows import Row, ScoreRow
from scoresvc.transfer.kinds import UINT31

HEADER = ["external", "user"]


class MappedUsers:
    """Finds numbers, and writes down new ones to `file`, where there is one."""

    def __init__(self, numbers: dict[str, int], file: TextIO | None) -> None:
        self._numbers = numbers
        self._file = file
        self._writer = csv.writer(file) if file else None

    def find(self, row: Row) -> Row:
        """Returns a row with the number of its user, where that is known."""
        if isinstance(row, ScoreRow) and row.external in self._numbers:
            return row._replace(user_id=self._numbers[row.external], external=None)
        return row

    def note(self, row: Row, user_id: int) -> None:
        if isinstance(row, ScoreRow) and row.external is not None and row.external not in self._numbers:
            self._numbers[row.external] = user_id
            if self._writer and self._file:
                self._writer.writerow([row.external, user_id])
                self._file.flush()


@contextmanager
def open_users(path: Path, is_dry: bool) -> Iterator[MappedUsers]:
    """Reads the file where it is there, and adds to it unless `is_dry`. Raises StartError."""
    try:
        numbers = _read_numbers(path) if path.exists() else {}
        if is_dry:
            yield MappedUsers(numbers, None)
            return
        file = path.open("a", encoding="utf-8", newline="")
    except OSError as error:
        raise StartError(f"cannot open {path}: {error.strerror}") from None
    with file:
        if file.tell() == 0:
            csv.writer(file).writerow(HEADER)
        yield MappedUsers(numbers, file)


def _read_numbers(path: Path) -> dict[str, int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.reader(file)
        if next(records, HEADER) != HEADER:
            raise StartError(f"{path}: its first line must be {','.join(HEADER)}")
        numbers: dict[str, int] = {}
        for record in records:
            try:
                external, user = record
                numbers[external] = UINT31.read(user)
            except ValueError:
                raise StartError(f"{path}: line {records.line_num} must be a text and the number of a user") from None
        return numbers
