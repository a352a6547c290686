"""Reads rows from CSV or from JSON with an object a line, whichever a file is.

Theory of operation: a file is read as a stream, so its size does not matter. What is wrong with one line is said of
that line, and the next one is read; only where the columns cannot be found nothing is read at all. The columns of
another service are found by the names that `ReadingOptions.columns` gives: of JSON also those within an object, by a
path with dots.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, TextIO

import msgspec

from scoresvc.errors import StartError
from scoresvc.limits import EXTERNAL_CHARACTERS_MAX
from scoresvc.rows import ROW_KINDS, Row, ScoreRow
from scoresvc.transfer.kinds import LINE
from scoresvc.transfer.tables import TABLES, Column, find_table
from scoresvc.transfer.writing import ESCAPE, FORMULA_SIGNS

DELIMITERS = ",;\t"
CELL_CHARACTERS_MAX = 1 << 16


class ReadingOptions(NamedTuple):
    """How the lines of a file are read."""

    columns: Mapping[str, str] = {}  # by our names
    level_id: int | None = None  # of lines that do not say one
    has_external_users: bool = False  # whether the users are known by texts of another service


class ReadLine(NamedTuple):
    """A line with its row, or with the reason why it has none."""

    number: int  # from 1; of a record of several lines the last
    what: str
    row: Row | None
    reason: str = ""


def read_rows(file: BinaryIO, options: ReadingOptions) -> Generator[ReadLine, None, None]:
    """Yields what the lines of a file say. Raises StartError where its columns are not known."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        first = text.readline()
        is_json = first.lstrip().startswith(("{", "["))
        yield from _read_json(chain([first], text), options) if is_json else _read_csv(first, text, options)
    finally:
        text.detach()


# CSV


def _read_csv(header: str, file: TextIO, options: ReadingOptions) -> Iterator[ReadLine]:
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    delimiter = max(DELIMITERS, key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    if not names:
        return
    what, columns = _find_columns([name.strip() for name in names], options)
    records = csv.reader(file, delimiter=delimiter)
    while True:
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            yield ReadLine(records.line_num + 1, what, None, str(error))
            continue
        if cells:
            yield _read_record(records.line_num + 1, what, columns, cells, len(names), options)


def _find_columns(names: Sequence[str], options: ReadingOptions) -> tuple[str, list[tuple[Column, int]]]:
    """Returns the kind of the rows, and each of its columns with its place."""
    if len(set(names)) < len(names):
        raise StartError("line 1: a column is there twice")
    ours = {theirs: own for own, theirs in options.columns.items()}
    for theirs in ours:
        if theirs not in names:
            raise StartError(f"line 1: there is no column {theirs}; there are: {', '.join(names)}")
    places = {name: place for place, name in enumerate(names)}
    places |= {ours[name]: place for place, name in enumerate(names) if name in ours}
    if ours:  # of another service: what it has besides is no concern of ours
        known = {column.name for column in TABLES["scores"]}
        places = {name: place for name, place in places.items() if name in known}
    what = _find_what(set(places), options)
    return what, [(column, places[column.name]) for column in TABLES[what] if column.name in places]


def _find_what(names: set[str], options: ReadingOptions) -> str:
    what = find_table(names | ({"level"} if options.level_id is not None else set()))
    if what is None:
        needed = ", ".join(column.name for column in TABLES["scores"] if column.is_needed)
        raise StartError(
            f"line 1: the columns {', '.join(sorted(names))} are those of no rows that are known; scores need {needed}."
            " --columns says how they are named here, --level gives all lines a level"
        )
    return what


def _read_record(
    number: int,
    what: str,
    columns: Iterable[tuple[Column, int]],
    cells: Sequence[str],
    count: int,
    options: ReadingOptions,
) -> ReadLine:
    if len(cells) != count:
        return ReadLine(number, what, None, f"it has {len(cells)} cells, not {count}")
    return _make_line(number, what, {column.name: _unescape(cells[place]) for column, place in columns}, options)


def _unescape(cell: str) -> str:
    return cell[1:] if cell.startswith(ESCAPE) and cell[1:].startswith((*FORMULA_SIGNS, ESCAPE)) else cell


# JSON


def _read_json(file: Iterable[str], options: ReadingOptions) -> Iterator[ReadLine]:
    for number, text in enumerate(file, 1):
        if text.strip():
            yield _read_object(number, text, options)


def _read_object(number: int, text: str, options: ReadingOptions) -> ReadLine:
    try:
        found = msgspec.json.decode(text.encode(errors="surrogateescape"))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return ReadLine(number, "scores", None, f"it is no JSON: {error}")
    if not isinstance(found, dict):
        return ReadLine(number, "scores", None, "it is no JSON object")
    what = found.pop("what", "scores")
    if what not in TABLES:
        return ReadLine(number, "scores", None, f"what must be one of {', '.join(TABLES)}")
    names = {column.name: options.columns.get(column.name, column.name) for column in TABLES[what]}
    known = names.values()
    if not options.columns and (unknown := sorted(found.keys() - set(known))):
        return ReadLine(number, what, None, f"{unknown[0]} is no column of {what}; --columns says how theirs are named")
    return _make_line(number, what, {name: _as_text(_find(found, theirs)) for name, theirs in names.items()}, options)


def _find(found: Any, path: str) -> Any:
    """Returns the value of a name, or at a path of names with dots."""
    if path in found:
        return found[path]
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _as_text(value: Any) -> str:
    """Returns what a cell of CSV would say."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# Rows


def _make_line(number: int, what: str, cells: Mapping[str, str], options: ReadingOptions) -> ReadLine:
    try:
        "".join(cells.values()).encode()
        return ReadLine(number, what, _make_row(what, cells, options))
    except UnicodeEncodeError:
        return ReadLine(number, what, None, "it is not UTF-8")
    except ValueError as error:
        return ReadLine(number, what, None, str(error))


def _make_row(what: str, cells: Mapping[str, str], options: ReadingOptions) -> Row:
    external = None
    if options.has_external_users and what == "scores":
        external = _read_external(cells.get("user", ""))
        cells = {**cells, "user": "0"}
    values = [_read_cell(column, cells.get(column.name, ""), options) for column in TABLES[what]]
    row: Row = ROW_KINDS[what](*values)
    return row._replace(external=external) if isinstance(row, ScoreRow) and external else row


def _read_external(text: str) -> str:
    if not 1 <= len(text) <= EXTERNAL_CHARACTERS_MAX:
        raise ValueError(f"user must be a text of 1 to {EXTERNAL_CHARACTERS_MAX} characters")
    return LINE.read(text)


def _read_cell(column: Column, text: str, options: ReadingOptions) -> Any:
    if text == "":
        if column.name == "level" and options.level_id is not None:
            return options.level_id
        if column.is_needed:
            raise ValueError(f"{column.name} is missing")
        return column.default
    try:
        return column.kind.read(text)
    except ValueError as error:
        raise ValueError(f"{column.name} {error}") from None
