"""Makes rows that are exported, the same way on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scoresvc.levels import write_setting
from scoresvc.rows import LevelRow
from scoresvc.storage.ledger import turn


class LevelOrders:
    """Gives scores back as they were posted. `order_of` returns the order of a level."""

    def __init__(self, order_of: Callable[[int], str]) -> None:
        self._order_of = order_of
        self._orders: dict[int, str] = {}

    def turn(self, level_id: int, score: int) -> int:
        order = self._orders.get(level_id)
        if order is None:
            order = self._orders[level_id] = self._order_of(level_id)
        return turn(score, order)


def make_level_row(level_id: int, settings: dict[str, Any]) -> LevelRow:
    return LevelRow(level_id, **{name: write_setting(value) for name, value in settings.items()})
