"""How a command is declared, and what its flags say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from scoresvc import config, config_file
from scoresvc.config import Config
from scoresvc.config_file import Setting

Command = Callable[[Config, argparse.Namespace], int]


def add_command(commands: Any, name: str, command: Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    return parser


def add_flags(parser: argparse.ArgumentParser, section: str, name: str, *flags: str) -> None:
    """Adds the flags of an option, or those that are given instead; an option without any is for the file alone."""
    option = config.options_of(section)[name]
    flags = flags or option.flags
    if not flags:
        return
    switch: dict[str, Any] = (
        {"action": "store_const", "const": "yes"} if option.is_switch else {"metavar": name.upper()}
    )
    parser.add_argument(*flags, dest=f"{section}.{name}", help=option.meaning, **switch)


def read_config(options: argparse.Namespace) -> Config:
    """The settings of the file, with what the command line says instead."""
    given = {tuple(name.split(".")): text for name, text in vars(options).items() if "." in name and text is not None}
    if ("database", "path") in given:
        given["database", "url"] = ""
    if ("tcp", "port") in given:
        given["tcp", "enabled"] = "yes"
    settings = [Setting("command line", section, option, text) for (section, option), text in given.items()]
    return config_file.apply(config_file.load(), settings)
