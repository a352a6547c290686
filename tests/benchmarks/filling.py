"""Makes databases that differ in nothing but how many scores they hold.

Half of the scores are on one level, the rest on levels of 50 players each. A smaller database is an even
sample of the largest: of its levels every hundredth, say, and on the one large level every hundredth
player, under the same numbers and with the same scores. So the same requests mean the same work in each,
and their rows lie all over the largest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import open_store
from scoresvc.storage.sqlite.library import sqlite3

LARGE_LEVEL = 0
PLAYERS = 50  # on each other level
POSTERS = 1000  # users who have a score on the large level of every database, evenly spread over all users
SCORES_BELOW = 1_000_000_000
FIRST_REACHED_AT = 1_700_000_000_000_000  # Unix microseconds
SLICE = 50_000  # scores in one transaction

# With one writer and nobody who reads, on a file that is thrown away where it does not become whole.
FOR_SPEED = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -1000000",
)


@dataclass(frozen=True)
class Sample:
    """A database of `size` scores, an even sample of the one with `largest`."""

    size: int
    largest: int

    def __post_init__(self) -> None:
        if self.size % (2 * POSTERS) or self.largest % self.size:
            raise ValueError(
                f"{self.size} scores: must be a multiple of {2 * POSTERS} that divides {self.largest} without a rest"
            )

    @property
    def step(self) -> int:
        """From one level, or player of the large level, to the next."""
        return self.largest // self.size

    @property
    def levels(self) -> range:
        """All but the large one."""
        return range(self.step, self.largest // (2 * PLAYERS) + 1, self.step)

    @property
    def players(self) -> range:
        """Of the large level."""
        return range(0, self.largest // 2, self.step)

    @property
    def posters(self) -> range:
        return range(0, self.largest // 2, self.largest // (2 * POSTERS))

    def players_of(self, level_id: int) -> list[int]:
        """Of any level but the large one: all of them are posters."""
        return [self.posters[(number * POSTERS // PLAYERS + level_id) % POSTERS] for number in range(PLAYERS)]


def first_score(level_id: int, user_id: int) -> int:
    """Spreads the scores of a level evenly, in no order of its users."""
    return (user_id * 618_033_989 + level_id * 7_919) % SCORES_BELOW


def fill(path: Path, sample: Sample) -> Iterator[int]:
    """Makes the database at `path`; yields after each transaction how many scores it has added."""
    open_store(Config(database=DatabaseOptions(path=path))).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in FOR_SPEED:
            connection.execute(pragma)
        reached_at = FIRST_REACHED_AT
        for slice_of_best in _slices(sample):
            rows = [
                (level_id, user_id, first_score(level_id, user_id), reached_at + number)
                for number, (level_id, user_id) in enumerate(slice_of_best)
            ]
            reached_at += len(rows)
            connection.execute("BEGIN")
            connection.executemany(
                """
                INSERT INTO scores (level_id, period, user_id, score, reached_at)
                     VALUES (?, 0, ?, ?, ?)
                """,
                rows,
            )
            connection.execute("COMMIT")
            yield len(rows)


def _slices(sample: Sample) -> Iterator[list[tuple[int, int]]]:
    """Yields level and user of all scores, level by level so that the work stays in one place.

    Within that they are shuffled: pages fill as they do where players come when they like.
    """
    shuffle = random.Random(sample.size).shuffle
    players = list(sample.players)
    shuffle(players)
    for first in range(0, len(players), SLICE):
        yield [(LARGE_LEVEL, user_id) for user_id in players[first : first + SLICE]]
    for first in range(0, len(sample.levels), SLICE // PLAYERS):
        levels = sample.levels[first : first + SLICE // PLAYERS]
        pairs = [(level_id, user_id) for level_id in levels for user_id in sample.players_of(level_id)]
        shuffle(pairs)
        yield pairs
