"""Finds the migrations of an engine, `migrations/<engine>/NNNN_name.sql`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Migration(NamedTuple):
    version: int  # from 1
    name: str
    sql: str


def read_folder(engine: str) -> list[Migration]:
    """Returns all migrations by version: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    folders = (package / "migrations" / engine, package.parent / "migrations" / engine)
    folder = next(path for path in folders if path.is_dir())
    return [
        Migration(int(path.name[:4]), path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    ]
