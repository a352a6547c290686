"""What a transaction of the writer has changed."""

from __future__ import annotations


class Touched:
    """What a transaction has changed, for the caches to drop once it is committed."""

    def __init__(self) -> None:
        self.levels: set[int] = set()  # whose boards
        self.rules: set[int] = set()  # keys of LevelVersions.rule_version_of
        self.has_erased = False
