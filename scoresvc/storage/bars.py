"""Shows on a terminal how far long work is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm


def make_bar(name: str, scores: int) -> tqdm[NoReturn]:
    """Returns a bar that counts scores; it is not shown for none, and where standard error is no terminal."""
    return tqdm(desc=name, total=scores, unit=" scores", unit_scale=True, disable=None if scores else True)


@contextmanager
def bar_of_pages(name: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a bar while a `with` block runs; it is moved by a function of the pages that are left and all there are."""
    bar: tqdm[NoReturn] = tqdm(desc=name, unit=" pages", unit_scale=True, disable=None)
    with bar:

        def move(left: int, total: int) -> None:
            bar.total = total
            bar.update(total - left - bar.n)

        yield move
