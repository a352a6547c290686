"""The commands that copy the database away, and back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scoresvc import storage
from scoresvc.cli.parsing import add_command, add_flags
from scoresvc.config import Config, options_of
from scoresvc.errors import StartError


def add_backup_commands(commands: Any) -> None:
    backing_up = add_command(commands, "backup", run_backup)
    add_flags(backing_up, "database", "path")
    backing_up.add_argument(
        "to", metavar="TO", type=Path, nargs="?", help="a file, or a folder; that of [backup] if left out"
    )
    backing_up.add_argument("--keep", metavar="N", help="how many backups in the folder are kept; all if left out")

    restoring = add_command(commands, "restore", run_restore)
    add_flags(restoring, "database", "path")
    restoring.add_argument("file", metavar="FILE", type=Path, help="a backup")


def run_backup(settings: Config, options: argparse.Namespace) -> int:
    """Makes a checked copy of the database, also while it is in use, and prints its path."""
    to = options.to or settings.backup.folder
    if to is None:
        raise StartError("name a file or a folder for the backup, or set [backup] folder")
    print(storage.back_up(settings, to, _read_keep(options.keep)))
    return 0


def _read_keep(text: str | None) -> int | None:
    try:
        return None if text is None else options_of("backup")["keep"].kind.read(text)
    except ValueError as error:
        raise StartError(f"--keep {error}") from None


def run_restore(settings: Config, options: argparse.Namespace) -> int:
    """Puts a backup in the place of the database, while no service runs, and keeps that one under another name."""
    aside = storage.restore(settings, options.file)
    print(f"{storage.describe(settings)}: restored from {options.file}")
    if aside:
        print(f"the database that was there is now {aside}")
    return 0
