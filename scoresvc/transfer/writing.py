"""Writes rows as CSV, or as JSON with an object a line.

CSV is that of RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front, which reading
takes off again (OWASP, CSV injection).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import msgspec

from scoresvc.rows import Row
from scoresvc.transfer.tables import TABLES

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                 "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
ESCAPE = "'"


def write_csv(file: TextIO, what: str, rows: Iterable[Row]) -> None:
    """Writes a line with the names of the columns, then one for each row. `file` must not change line ends."""
    columns = TABLES[what]
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([each.name for each in columns])
    kinds = [each.kind for each in columns]
    for row in rows:
        writer.writerow(
            ["" if value is None else _as_cell(kind.write(value)) for kind, value in zip(kinds, row, strict=False)]
        )


def _as_cell(value: Any) -> str:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    text = str(value)
    return ESCAPE + text if text.startswith((*FORMULA_SIGNS, ESCAPE)) else text


def write_lines(file: TextIO, what: str, rows: Iterable[Row]) -> None:
    """Writes an object a line, with `what` before the columns."""
    kinds = [(each.name, each.kind) for each in TABLES[what]]
    encode = msgspec.json.Encoder().encode
    for row in rows:
        values = {
            name: None if value is None else kind.write(value) for (name, kind), value in zip(kinds, row, strict=False)
        }
        file.write(encode({"what": what, **values}).decode() + "\n")


FORMATS: dict[str, Callable[[TextIO, str, Iterable[Row]], None]] = {"csv": write_csv, "ndjson": write_lines}
