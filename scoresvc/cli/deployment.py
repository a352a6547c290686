"""The commands for those who deploy the service."""

from __future__ import annotations

import argparse
from typing import Any

from scoresvc.cli.parsing import add_command
from scoresvc.config import Config
from scoresvc.examples import EXAMPLES, read_example
from scoresvc.health import check_health, own_url


def add_deployment_commands(commands: Any) -> None:
    health = add_command(commands, "health", run_health)
    health.add_argument("--url", help="the address to ask, instead of /health at [server] host and port")

    example = add_command(commands, "example", run_example)
    example.add_argument("name", metavar="NAME", choices=EXAMPLES, help=f"one of: {', '.join(EXAMPLES)}")


def run_health(settings: Config, options: argparse.Namespace) -> int:
    """Asks the running service whether it answers; exit status 1 where it does not."""
    check_health(options.url or own_url(settings.server))
    print("ok")
    return 0


def run_example(settings: Config, options: argparse.Namespace) -> int:
    """Prints a file for a deployment."""
    print(read_example(options.name), end="")
    return 0
