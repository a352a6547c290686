"""How the answers to operators are written as plain text."""

from __future__ import annotations

from typing import Any

from scoresvc.actions import ActionPage, ActionRecord, HeldPosts, SubmissionPage, UserMatches
from scoresvc.api.formats import JSON, TextFormat, write_json
from scoresvc.times import format_time


def write_action(record: ActionRecord | None) -> str:
    """Writes the number of an action, nothing where nothing was done."""
    return "" if record is None else str(record.id)


def _write_submissions(page: SubmissionPage) -> str:
    return "".join(
        [
            f"{each.id}\t{each.user_id}\t{each.score}\t{format_time(each.posted_at)}\t{each.state}\n"
            for each in page.submissions
        ]
    )


def _write_held(held: HeldPosts) -> str:
    return "".join(
        [
            f"{each.id}\t{each.level_id}\t{each.user_id}\t{each.score}\t{format_time(each.posted_at)}\n"
            for each in held.submissions
        ]
    )


def _write_actions(page: ActionPage) -> str:
    return "".join([_write_line(each) for each in page.actions])


def _write_line(record: ActionRecord) -> str:
    numbers = (record.level_id, record.user_id, record.submission_id, record.undoes)
    cells: tuple[Any, ...] = (
        record.id,
        format_time(record.at),
        record.actor,
        record.kind,
        *("" if number is None else number for number in numbers),
        write_json(record.before).decode(),
        write_json(record.after).decode(),
    )
    return "\t".join(map(str, cells)) + "\n"


def _write_users(matches: UserMatches) -> str:
    return "".join([f"{each.user_id}\t{each.name or ''}\t{each.external or ''}\n" for each in matches.users])


USERS = TextFormat(_write_users, "a line each: `<userid> TAB <name> TAB <external>`")
SUBMISSIONS = TextFormat(_write_submissions, "a line each: `<id> TAB <userid> TAB <score> TAB <time> TAB <state>`")
HELD = TextFormat(_write_held, "a line each: `<id> TAB <levelid> TAB <userid> TAB <score> TAB <time>`")
ACTION = TextFormat(write_action, "`<action>`: its number; nothing where nothing was done")
ACTIONS = TextFormat(
    _write_actions,
    "a line each: `<id> TAB <time> TAB <actor> TAB <kind> TAB <levelid> TAB <userid> TAB <submission> TAB <undoes> TAB"
    " <before> TAB <after>`",
)
USER = TextFormat(write_json, "JSON, also without `Accept`", JSON)
