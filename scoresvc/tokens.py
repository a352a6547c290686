"""What a token allows: rights, and the levels that it is for."""

from __future__ import annotations

import re
from functools import lru_cache

from scoresvc.actions import RIGHTS, Token
from scoresvc.limits import UINT31_MAX

ALL_LEVELS = "*"
NAME_CHARACTERS_MAX = 64
RANGES_MAX = 100  # in one token

Ranges = tuple[tuple[int, int], ...]  # lowest and highest level of each, both included

_RANGE = re.compile("([0-9]{1,10})(?:-([0-9]{1,10}))?")


def read_name(text: str) -> str:
    """Raises ValueError that says what would be right."""
    if not re.fullmatch("[A-Za-z0-9._-]+", text) or len(text) > NAME_CHARACTERS_MAX:
        raise ValueError(f"must be 1 to {NAME_CHARACTERS_MAX} of the characters A-Z a-z 0-9 . _ -")
    return text


def read_rights(text: str) -> tuple[str, ...]:
    """Reads words of RIGHTS with commas between them; returns them in that order. Raises ValueError."""
    words = set(text.split(","))
    if not words.issubset(RIGHTS):
        raise ValueError(f"must be some of {', '.join(RIGHTS)}, with commas between them")
    return tuple(right for right in RIGHTS if right in words)


def read_levels(text: str) -> str:
    """Reads `*`, or levels and ranges with commas between them, such as `7,100-199`. Raises ValueError."""
    if text != ALL_LEVELS:
        _ranges(text)
    return text


def allows_right(token: Token, right: str) -> bool:
    return right in token.rights or "all" in token.rights


def allows_level(token: Token, level_id: int | None) -> bool:
    """Returns whether a token is for a level; None stands for what is not of one level, which takes all levels."""
    if token.levels == ALL_LEVELS:
        return True
    return level_id is not None and any(low <= level_id <= high for low, high in _ranges(token.levels))


@lru_cache(256)
def _ranges(text: str) -> Ranges:
    matches = [_RANGE.fullmatch(part) for part in text.split(",")]
    ranges = tuple((int(match[1]), int(match[2] or match[1])) for match in matches if match)
    if len(ranges) < len(matches) or len(ranges) > RANGES_MAX or not all(lo <= hi <= UINT31_MAX for lo, hi in ranges):
        raise ValueError(
            f"must be *, or levels such as 7 or 100-199 with commas between them, at most {RANGES_MAX} of them"
        )
    return ranges
