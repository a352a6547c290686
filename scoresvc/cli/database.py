"""The commands about the database as a whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scoresvc import storage
from scoresvc.cli.parsing import add_command, add_flags
from scoresvc.config import Config


def add_database_commands(commands: Any) -> None:
    migrating = add_command(commands, "migrate", run_migrate)
    add_flags(migrating, "database", "path")
    migrating.add_argument("--distribute", action="store_true", help="spread the tables over the nodes of Citus")

    copying = add_command(commands, "copy", run_copy)
    copying.add_argument("file", metavar="FILE", type=Path, help="the database to copy, while nothing is posted to it")

    checking = add_command(commands, "check", run_check)
    add_flags(checking, "database", "path")
    checking.add_argument("--repair", action="store_true", help="put right what is wrong")


def run_migrate(settings: Config, options: argparse.Namespace) -> int:
    """Brings the database up to date."""
    applied = (storage.distribute_database if options.distribute else storage.migrate_database)(settings)
    print(f"{storage.describe(settings)}: " + (f"applied {', '.join(applied)}" if applied else "up to date"))
    return 0


def run_copy(settings: Config, options: argparse.Namespace) -> int:
    """Copies a database file into the server's database that [database] url names, which has no scores yet."""
    rows = storage.copy_database(settings, options.file)
    print(f"{storage.describe(settings)}: copied {rows['scores']} scores and {rows['sessions']} sessions")
    return 0


def run_check(settings: Config, options: argparse.Namespace) -> int:
    """Checks boards, ranks and indexes; exit status 1 where something is wrong."""
    faults = _print_faults(settings)
    if faults and options.repair:
        storage.repair(settings)
        print("repaired")
        faults = _print_faults(settings)
    if not faults:
        print(f"no problems found in {storage.describe(settings)}")
    return 1 if faults else 0


def _print_faults(settings: Config) -> int:
    faults = 0
    for fault in storage.find_faults(settings):
        tqdm.write(fault)
        faults += 1
    return faults
