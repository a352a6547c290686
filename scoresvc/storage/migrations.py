"""Finds the migrations of an engine, `migrations/<engine>/NNNN_name.sql`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Migration(NamedTuple):
    version: int  # from 1
    name: str
    sql: str


def read_folder(engine: str) -> list[Migration]:
    """Returns all migrations by version."""
    return [
        Migration(int(path.name[:4]), path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(_folder(engine).glob("[0-9][0-9][0-9][0-9]_*.sql"))
    ]


def read_script(engine: str, name: str) -> str:
    """Returns SQL that is no migration."""
    return (_folder(engine) / f"{name}.sql").read_text(encoding="utf-8")


def _folder(engine: str) -> Path:
    """Returns the folder of SQL: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    folders = (package / "migrations" / engine, package.parent / "migrations" / engine)
    return next(path for path in folders if path.is_dir())
