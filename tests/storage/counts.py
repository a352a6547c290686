"""What the counts behind the ranks are, and should be."""

from __future__ import annotations

from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.ranks import find_faults


def rank_faults(connection: sqlite3.Connection) -> list[str]:
    return [fault.said for fault in find_faults(connection)]


def rebuild(connection: sqlite3.Connection) -> None:
    """Counts the bands and the boards again from the scores."""
    connection.execute("DELETE FROM bands")
    connection.execute("DELETE FROM boards")
    connection.execute("INSERT INTO bands SELECT level_id, period, lowest_score, width, players FROM counted_bands")
    connection.execute("INSERT INTO boards SELECT level_id, period, count(*) FROM scores GROUP BY level_id, period")
