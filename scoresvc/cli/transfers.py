"""The commands that write rows to files, and read them back."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from tqdm import tqdm

from scoresvc import storage
from scoresvc.api.kinds import UINT31
from scoresvc.cli.mapped_users import MappedUsers, open_users
from scoresvc.cli.parsing import add_command, add_flags
from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.periods import find_period_of_user, read_wish
from scoresvc.rows import ROW_KINDS, Row, Selection
from scoresvc.storage import Export, ImportChunk
from scoresvc.transfer.reading import ReadingOptions, ReadLine, read_rows
from scoresvc.transfer.tables import TABLES
from scoresvc.transfer.writing import FORMATS

ROWS_AT_ONCE = 500  # in one transaction, beside the posts of a service


def add_transfer_commands(commands: Any) -> None:
    exporting = add_command(commands, "export", run_export)
    add_flags(exporting, "database", "path")
    exporting.add_argument("--format", choices=FORMATS, default="csv", help="csv if left out")
    exporting.add_argument("--level", metavar="N", help="of this level alone; all if left out")
    exporting.add_argument("--period", metavar="P", help="scores of this period alone, such as all or 2026-W48")
    exporting.add_argument(
        "--what", default="scores", help=f"with commas between them: {', '.join(ROW_KINDS)}; scores if left out"
    )

    importing = add_command(commands, "import", run_import)
    add_flags(importing, "database", "path")
    importing.add_argument("file", metavar="FILE", nargs="?", type=Path, help="standard input if left out")
    importing.add_argument(
        "--mode", choices=("best", "replace"), default="best", help="whether what is there stays where it is better"
    )
    importing.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    importing.add_argument("--level", metavar="N", help="the level of lines that do not say one")
    importing.add_argument("--columns", metavar="OURS=THEIRS,…", default="", help="how columns are named in the file")
    importing.add_argument(
        "--map-users", metavar="FILE", type=Path, help="users are texts; their numbers are kept in this file"
    )


# Export


def run_export(settings: Config, options: argparse.Namespace) -> int:
    """Writes rows to standard output, all of one moment, also while a service runs."""
    kinds = _read_kinds(options.what)
    if len(kinds) > 1 and options.format == "csv":
        raise StartError("CSV has one kind of rows; name one with --what, or take --format ndjson")
    selection = Selection(_read_level(options.level), _read_period(settings, options.period))
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        with storage.open_export(settings) as export:
            for what in kinds:
                FORMATS[options.format](out, what, _shown(what, export, selection))
            out.flush()
    except BrokenPipeError:  # the reader has enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        _detach(out)
    return 0


def _detach(out: io.TextIOWrapper) -> None:
    with suppress(BrokenPipeError):
        out.detach()


def _read_kinds(text: str) -> list[str]:
    """Returns the kinds in the order in which they are imported."""
    wanted = {word.strip() for word in text.split(",")}
    if not wanted <= ROW_KINDS.keys():
        raise StartError(f"--what must be some of {', '.join(ROW_KINDS)}, with commas between them")
    return [what for what in ROW_KINDS if what in wanted]


def _read_level(text: str | None) -> int | None:
    return None if text is None else UINT31.read("--level", text)


def _read_period(settings: Config, text: str | None) -> int | None:
    if text is None:
        return None
    now = int(time.time() * 1_000_000)
    return find_period_of_user(read_wish(text), settings.levels.zone, now, has_begun=True).number


def _shown(what: str, export: Export, selection: Selection) -> Iterator[Row]:
    total = export.count(what) if selection == Selection() else None
    return iter(tqdm(export.rows(what, selection), desc=what, total=total, unit=" rows", unit_scale=True, disable=None))


# Import


class ImportCounts(NamedTuple):
    changed: int = 0
    unchanged: int = 0
    refused: int = 0


def run_import(settings: Config, options: argparse.Namespace) -> int:
    """Stores the rows of a file, also while a service runs; exit status 1 where a line was refused."""
    reading = ReadingOptions(
        _read_columns(options.columns),
        _read_level(options.level),
        options.map_users is not None,
    )
    with ExitStack() as stack:
        file = stack.enter_context(_open_file(options.file))
        users = stack.enter_context(open_users(options.map_users, options.dry_run)) if options.map_users else None
        store = stack.enter_context(storage.open_import(settings, options.dry_run))
        counts = _import_lines(file, reading, store, options.mode, users)
    done = "would be imported" if options.dry_run else "imported"
    print(f"{counts.changed} {done}, {counts.unchanged} unchanged, {counts.refused} refused")
    return 1 if counts.refused else 0


@contextmanager
def _open_file(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield file


def _read_columns(text: str) -> dict[str, str]:
    columns: dict[str, str] = {}
    for each in filter(None, text.split(",")):
        ours, sign, theirs = each.partition("=")
        if not sign or not theirs:
            raise StartError(f"--columns {each} must be a column with its name in the file, such as score=value")
        columns[ours.strip()] = theirs.strip()
    if unknown := sorted(columns.keys() - {column.name for column in TABLES["scores"]}):
        raise StartError(
            f"--columns {unknown[0]} is no column of scores: {', '.join(c.name for c in TABLES['scores'])}"
        )
    return columns


def _import_lines(
    file: BinaryIO, reading: ReadingOptions, store: ImportChunk, mode: str, users: MappedUsers | None
) -> ImportCounts:
    counts = ImportCounts()
    with _bar_of(file) as bar, closing(read_rows(file, reading)) as lines:
        while chunk := list(islice(lines, ROWS_AT_ONCE)):
            for what, same in groupby(chunk, key=lambda line: line.what):
                counts = _add(counts, _import_chunk(what, list(same), store, mode, users))
            bar.update(_position(file) - bar.n)
    return counts


def _import_chunk(
    what: str, lines: Iterable[ReadLine], store: ImportChunk, mode: str, users: MappedUsers | None
) -> ImportCounts:
    refused = 0
    good: list[tuple[int, Row]] = []
    for line in lines:
        if line.row is None:
            _complain(line.number, line.reason)
            refused += 1
        else:
            good.append((line.number, users.find(line.row) if users else line.row))
    outcomes = store(what, [row for _, row in good], mode) if good else []
    for (number, row), outcome in zip(good, outcomes, strict=True):
        if outcome.reason:
            _complain(number, outcome.reason)
            refused += 1
        if users and outcome.user_id is not None:
            users.note(row, outcome.user_id)
    changed = sum(outcome.has_changed for outcome in outcomes)
    return ImportCounts(changed, sum(not outcome.reason for outcome in outcomes) - changed, refused)


def _complain(number: int, reason: str) -> None:
    tqdm.write(f"scoresvc: line {number}: {reason}", file=sys.stderr)


def _add(counts: ImportCounts, more: ImportCounts) -> ImportCounts:
    return ImportCounts(*map(sum, zip(counts, more, strict=True)))


def _bar_of(file: BinaryIO) -> tqdm[NoReturn]:
    """Shows how much of a file has been read; of a pipe how much there was until now."""
    size = os.fstat(file.fileno()).st_size or None
    return tqdm(desc="import", total=size, unit="B", unit_scale=True, disable=None)


def _position(file: BinaryIO) -> int:
    try:
        return file.tell()
    except OSError:
        return 0
