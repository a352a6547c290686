"""Writes the page of operators."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from scoresvc.config import options_of
from scoresvc.levels import KINDS
from scoresvc.option_kinds import OneOf, YesNo
from scoresvc.pages.boards import Look
from scoresvc.pages.documents import read_assets, write_document

ASSETS = read_assets("admin.css", "admin.js")
TITLE_MEANING = "What players read above the board."

_YES_NO = ("yes", "no")


class AdminPage(NamedTuple):
    """The page of operators, the same for all: what they see is asked for with their tokens."""


class SettingField(NamedTuple):
    """A field of the form for the settings of a level."""

    name: str
    meaning: str
    values: str  # which there may be
    choices: tuple[str, ...]  # empty where it is a text


@cache
def write_admin(page: AdminPage) -> str:
    return write_document("admin.html", ASSETS, look=Look(), fields=[_make_field(name) for name in KINDS])


def _make_field(name: str) -> SettingField:
    kind, declared = KINDS[name], options_of("levels").get(name)
    choices = kind.words if isinstance(kind, OneOf) else _YES_NO if isinstance(kind, YesNo) else ()
    return SettingField(name, declared.meaning if declared else TITLE_MEANING, kind.describe(), tuple(choices))
