"""The commands that moderate: each is recorded in the audit log."""

from __future__ import annotations

import argparse
import time
from typing import Any

from scoresvc import storage
from scoresvc.actions import (
    ApproveSubmission,
    BanUser,
    ClearLevel,
    EndBan,
    EraseUser,
    RemoveScore,
    RemoveSubmission,
    RestoreSubmission,
    UndoAction,
)
from scoresvc.api.admin_kinds import MOMENT, REASON, ROW_NUMBER
from scoresvc.api.kinds import UINT31
from scoresvc.cli.parsing import add_command
from scoresvc.cli.performing import perform
from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.periods import find_period, read_wish


def add_moderation_commands(commands: Any) -> None:
    removing = add_command(commands, "remove", run_remove)
    removing.add_argument("submission", metavar="SUBMISSION", nargs="?", help="its number")
    removing.add_argument("--level", help="instead of a submission, with --user: the one that stands on the board")
    removing.add_argument("--user", help="whose score it is")
    removing.add_argument("--period", help="of the board, such as day or 2026-W48; all time if left out")
    for name, command in (("reinstate", run_reinstate), ("approve", run_approve)):
        add_command(commands, name, command).add_argument("submission", metavar="SUBMISSION", help="its number")
    banning = add_command(commands, "ban", run_ban)
    banning.add_argument("user", metavar="USER", help="the user's number")
    banning.add_argument("--reason", default="", help="why, for the audit log")
    banning.add_argument("--until", default="", help="when it ends, in UTC such as 2026-12-31T23:59:59Z")
    banning.add_argument("--hide", action="store_true", help="the player notices nothing, and counts for nobody else")
    for name, command in (("unban", run_unban), ("erase", run_erase)):
        add_command(commands, name, command).add_argument("user", metavar="USER", help="the user's number")
    add_command(commands, "clear", run_clear).add_argument("level", metavar="LEVEL", help="its number")
    add_command(commands, "undo", run_undo).add_argument("action", metavar="ACTION", help="its number")


def run_remove(settings: Config, options: argparse.Namespace) -> int:
    """Removes a submission; the user's next best stands again, in every period."""
    of_board = (options.level, options.user)
    if options.submission is not None and (of_board, options.period) == ((None, None), None):
        return perform(settings, RemoveSubmission(ROW_NUMBER.read("SUBMISSION", options.submission)))
    if options.submission is not None or None in of_board:
        raise StartError("remove takes a submission alone, or --level with --user")
    level_id, user_id = UINT31.read("--level", options.level), UINT31.read("--user", options.user)
    return perform(settings, RemoveScore(level_id, user_id, _find_period(settings, level_id, options.period)))


def _find_period(settings: Config, level_id: int, text: str | None) -> int:
    wish = read_wish(text or "all")
    with storage.open_admin(settings) as admin:
        return find_period(wish, admin.settings_of(level_id), int(time.time() * 1_000_000)).number


def run_reinstate(settings: Config, options: argparse.Namespace) -> int:
    """Lets a removed submission stand again."""
    return perform(settings, RestoreSubmission(ROW_NUMBER.read("SUBMISSION", options.submission)))


def run_approve(settings: Config, options: argparse.Namespace) -> int:
    """Lets a held submission stand."""
    return perform(settings, ApproveSubmission(ROW_NUMBER.read("SUBMISSION", options.submission)))


def run_ban(settings: Config, options: argparse.Namespace) -> int:
    """Takes a user's entries from all boards until the ban ends."""
    user_id = UINT31.read("USER", options.user)
    reason, until = REASON.read("--reason", options.reason), MOMENT.read("--until", options.until)
    return perform(settings, BanUser(user_id, reason, until, options.hide))


def run_unban(settings: Config, options: argparse.Namespace) -> int:
    """Ends a ban; the entries come back."""
    return perform(settings, EndBan(UINT31.read("USER", options.user)))


def run_erase(settings: Config, options: argparse.Namespace) -> int:
    """Erases all about a user; cannot be undone."""
    return perform(settings, EraseUser(UINT31.read("USER", options.user)))


def run_clear(settings: Config, options: argparse.Namespace) -> int:
    """Removes all submissions of a level."""
    return perform(settings, ClearLevel(UINT31.read("LEVEL", options.level)))


def run_undo(settings: Config, options: argparse.Namespace) -> int:
    """Undoes an action; that is an action itself."""
    return perform(settings, UndoAction(ROW_NUMBER.read("ACTION", options.action)))
