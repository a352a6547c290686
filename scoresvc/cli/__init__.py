"""The command `scoresvc`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version

from scoresvc.cli.backups import add_backup_commands
from scoresvc.cli.database import add_database_commands
from scoresvc.cli.deployment import add_deployment_commands
from scoresvc.cli.moderation import add_moderation_commands
from scoresvc.cli.operating import add_operating_commands
from scoresvc.cli.parsing import read_config
from scoresvc.cli.serving import add_serving_commands
from scoresvc.cli.transfers import add_transfer_commands
from scoresvc.errors import Refusal, StartError

NO_LOG = logging.NullHandler()  # a command that has no log says what it has to say in one line


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.getLogger("scoresvc").addHandler(NO_LOG)
    try:
        status: int = options.command(read_config(options), options)
    except (StartError, Refusal) as error:
        print(f"scoresvc: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scoresvc", description="A high-score service for games.")
    parser.add_argument("--version", action="version", version=f"scoresvc {version('scoresvc')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serving_commands(commands)
    add_database_commands(commands)
    add_backup_commands(commands)
    add_transfer_commands(commands)
    add_operating_commands(commands)
    add_moderation_commands(commands)
    add_deployment_commands(commands)
    return parser
