"""Shows on a terminal how far long work is."""

from __future__ import annotations

from typing import NoReturn

from tqdm import tqdm


def make_bar(name: str, scores: int) -> tqdm[NoReturn]:
    """Returns a bar that counts scores; it is not shown for none, and where standard error is no terminal."""
    return tqdm(desc=name, total=scores, unit=" scores", unit_scale=True, disable=None if scores else True)
