"""Levels and tokens by those who have a shell."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from scoresvc.config import Config
from scoresvc.storage import open_admin
from tests.cli.conftest import Shell

DEFAULTS = ["order=desc", "keep=best", "zone=UTC", "posts=anyone", "listed=yes"]


def test_a_level_without_settings_has_the_defaults(shell: Shell) -> None:
    assert set(DEFAULTS).issubset(shell("level", "7").splitlines())


def test_a_setting_is_set_and_taken_back(shell: Shell) -> None:
    assert shell("level", "7", "order=asc", "min=5", "title=Green Hill", "periods=day,week") == "1\n"
    assert {"order=asc", "min=5", "title=Green Hill", "periods=day,week"}.issubset(shell("level", "7").splitlines())

    assert shell("level", "7", "min=", "order=") == "2\n"
    assert {"order=desc", "min=", "title=Green Hill"}.issubset(shell("level", "7").splitlines())


def test_all_settings_are_taken_back_at_once(shell: Shell) -> None:
    shell("level", "7", "min=5", "periods=day")

    assert "takes no settings" in shell("level", "7", "max=9", "--reset")
    assert shell("level", "7", "--reset") == "2\n"
    assert set(DEFAULTS).issubset(shell("level", "7").splitlines())
    assert {"min=", "periods="}.issubset(shell("level", "7").splitlines())


def test_to_set_what_is_set_prints_nothing(shell: Shell) -> None:
    shell("level", "7", "min=5")

    assert shell("level", "7", "min=5") == ""


def test_a_level_with_scores_is_ranked_anew_when_that_is_asked_for(
    shell: Shell, post: Callable[[int, int, int], None], board: Callable[[int], str]
) -> None:
    post(7, 131, 9)
    post(7, 131, 5)

    assert "rebuild=yes" in shell("level", "7", "order=asc")
    assert board(7) == "131=9"
    assert shell("level", "7", "order=asc", "rebuild=yes") == "1\n"
    assert board(7) == "131=5"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("level x", "LEVEL must be"),
        ("level 7 order", "order must be a setting with its value"),
        ("level 7 order=up", "order must be one of"),
        ("level 7 colour=red", "colour is not a setting"),
        ("level 7 min=5 min=6", "more than once"),
        ("level 7 min=5 rebuild=maybe", "rebuild must be yes or no"),
        ("token add ann --rights write", "--rights must be some of"),
        ("token add ann --rights all --levels x", "--levels must be"),
        ("token add ann --rights all --days 0", "--days must be"),
        ("token add a/b --rights all", "NAME must be"),
        ("token end ann", "no token of this name"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(shell: Shell, command: str, complaint: str) -> None:
    assert complaint in shell(*command.split(" "))
    assert shell("token", "list") == ""
    assert set(DEFAULTS).issubset(shell("level", "7").splitlines())


def test_a_token_is_printed_once_and_good_for_its_days(shell: Shell, settings: Config) -> None:
    text = shell("token", "add", "ann", "--rights", "moderate,read", "--levels", "100-199", "--days", "90").strip()

    assert re.fullmatch("[A-Z2-7]{32}", text)
    with open_admin(settings) as access:
        token = access.admin.token_of(text)
    assert token
    assert (token.name, token.rights, token.levels) == ("ann", ("read", "moderate"), "100-199")
    assert token.expires_at
    assert 0 <= token.expires_at / 1_000_000 - time.time() - 90 * 86400 + 60 <= 120


def test_tokens_are_listed_without_themselves(shell: Shell) -> None:
    texts = [shell("token", "add", name, "--rights", "read").strip() for name in ("bob", "ann")]

    printed = shell("token", "list")

    assert printed == "ann\tread\t*\t\nbob\tread\t*\t\n"
    assert not [text for text in texts if text in printed]


def test_a_name_is_taken_until_its_token_ends(shell: Shell) -> None:
    shell("token", "add", "ann", "--rights", "read")

    assert "token of this name already" in shell("token", "add", "ann", "--rights", "all")
    assert shell("token", "end", "ann") == "2\n"
    assert shell("token", "list") == ""
    shell("token", "add", "ann", "--rights", "all")
