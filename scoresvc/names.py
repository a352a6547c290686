"""The rules of names that players see, of users and of levels.

A name must look like what it is on any screen, beside other text: so nothing in it is invisible, turns the direction of
writing, ends a line or is stacked over its neighbours, and it cannot be taken for a number.
"""

from __future__ import annotations

import re
import unicodedata

MARKS_MAX = 2  # on a letter, as Vietnamese and Thai need them

_FORBIDDEN = {
    "Cc": "control characters",
    "Cf": "invisible characters",
    "Cs": "broken characters",
    "Co": "private characters",
    "Cn": "unassigned characters",
    "Zl": "line ends",
    "Zp": "line ends",
}
_JOINERS = "\u200c\u200d"  # that Persian, Hindi and emoji are written with
_LINE_ENDS = "\n\r\x0b\x0c\x85"
_LOOSE_JOINER = re.compile(f"(?:^|[ {_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?: |$)")
_TOO_MANY_MARKS = re.compile(f"(?:^| )M|M{{{MARKS_MAX + 1}}}")
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"  # that count as letters or symbols, but show nothing


def read_name(text: str, characters_max: int, bytes_max: int | None = None) -> str:
    """Returns a name as it is kept: NFC, without white space around it and with single blanks within.

    Raises ValueError that says which rule it breaks. `bytes_max` counts UTF-8.
    """
    name = unicodedata.normalize("NFC", text.strip())
    for character in name:
        _check_character(character)
    name = " ".join(name.split())
    if not 1 <= len(name) <= characters_max:
        raise ValueError(f"must be 1 to {characters_max} characters")
    if bytes_max is not None and len(name.encode()) > bytes_max:
        raise ValueError(f"must be at most {bytes_max} bytes of UTF-8")
    if name.replace(" ", "").isdigit():
        raise ValueError("must not be digits alone")
    if _LOOSE_JOINER.search(name):
        raise ValueError(f"must not have {_FORBIDDEN['Cf']}")
    if _TOO_MANY_MARKS.search("".join([_sort(character) for character in name if character not in _JOINERS])):
        raise ValueError(f"must not have more than {MARKS_MAX} marks on a letter, or marks without one")
    return name


def _check_character(character: str) -> None:
    rule = _FORBIDDEN.get(unicodedata.category(character))
    if character in _LINE_ENDS:
        rule = _FORBIDDEN["Zl"]
    elif character in _FILLERS:
        rule = _FORBIDDEN["Cf"]
    if rule and character not in _JOINERS:
        raise ValueError(f"must not have {rule}")


def _sort(character: str) -> str:
    """Returns M for a mark, a blank for a blank, L for all else."""
    return " " if character == " " else "M" if unicodedata.category(character).startswith("M") else "L"
