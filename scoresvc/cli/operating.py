"""The commands about levels and tokens."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from scoresvc import storage, tokens
from scoresvc.actions import RIGHTS, AddToken, EndToken, ResetLevel, SetLevel, Token
from scoresvc.api.kinds import UINT31, YES_NO
from scoresvc.cli.parsing import add_command
from scoresvc.cli.performing import perform
from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.levels import read_settings, write_settings
from scoresvc.option_kinds import Whole
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.times import format_time

DAYS = Whole(1, 36500, "days")

T = TypeVar("T")


def add_operating_commands(commands: Any) -> None:
    level = add_command(commands, "level", run_level)
    level.add_argument("level", metavar="LEVEL", help="its number")
    level.add_argument(
        "settings",
        metavar="NAME=VALUE",
        nargs="*",
        help="what to set, such as order=asc; an empty value takes it back; rebuild=yes ranks the scores again",
    )
    level.add_argument("--reset", action="store_true", help="takes all settings back to their defaults")

    token = commands.add_parser("token", help="Adds, lists and ends the tokens of operators.")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    adding = add_command(actions, "add", run_token_add)
    adding.add_argument("name", metavar="NAME", help="who holds it, for the audit log")
    adding.add_argument("--rights", required=True, help=f"with commas between them: {', '.join(RIGHTS)}")
    adding.add_argument("--levels", default=tokens.ALL_LEVELS, help="such as 7 or 100-199,300; all if left out")
    adding.add_argument("--days", help="how long it is valid; for ever if left out")
    add_command(actions, "list", run_token_list)
    add_command(actions, "end", run_token_end).add_argument("name", metavar="NAME", help="of the token")


def run_level(settings: Config, options: argparse.Namespace) -> int:
    """Sets what a level is; without settings prints what it is."""
    level_id = UINT31.read("LEVEL", options.level)
    if not options.settings and not options.reset:
        with storage.open_admin(settings) as admin:
            print(write_settings(admin.settings_of(level_id)), end="")
        return 0
    texts = dict(_split(each) for each in options.settings)
    if len(texts) < len(options.settings):
        raise StartError("a setting is given more than once; give it once")
    rebuild = YES_NO.read("rebuild", texts.pop("rebuild", ""))
    if options.reset:
        if texts:
            raise StartError("--reset takes no settings but rebuild=yes")
        return perform(settings, ResetLevel(level_id, rebuild))
    return perform(settings, SetLevel(level_id, read_settings(texts.items()), rebuild))


def _split(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise StartError(f"{text} must be a setting with its value, such as order=asc")
    return name, value


def run_token_add(settings: Config, options: argparse.Namespace) -> int:
    """Makes a token for an operator or a server, and prints it: it is never shown again."""
    text = make_key()
    action = AddToken(
        _read("NAME", tokens.read_name, options.name),
        hash_key(text),
        _read("--rights", tokens.read_rights, options.rights),
        _read("--levels", tokens.read_levels, options.levels),
        _expiry(options.days),
    )
    with storage.open_admin(settings) as admin:
        admin.perform("shell", action)
    print(text)
    return 0


def _expiry(days: str | None) -> int | None:
    """Returns Unix microseconds."""
    return None if days is None else (int(time.time()) + 86400 * _read("--days", DAYS.read, days)) * 1_000_000


def _read(name: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise StartError(f"{name} {error}") from None


def run_token_list(settings: Config, options: argparse.Namespace) -> int:
    """Prints the tokens, a line each: name, rights, levels, when it expires, with tabs between them."""
    with storage.open_admin(settings) as admin:
        print(_write_tokens(admin.tokens()), end="")
    return 0


def _write_tokens(found: Iterable[Token]) -> str:
    return "".join(
        [
            f"{each.name}\t{','.join(each.rights)}\t{each.levels}\t"
            f"{'' if each.expires_at is None else format_time(each.expires_at)}\n"
            for each in found
        ]
    )


def run_token_end(settings: Config, options: argparse.Namespace) -> int:
    """Ends a token: nobody can use it any more."""
    return perform(settings, EndToken(options.name))
