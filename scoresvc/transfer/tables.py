"""The columns of each kind of row, in the order of its fields."""

from __future__ import annotations

from typing import Any, NamedTuple

from scoresvc.rows import ROW_KINDS, LevelRow
from scoresvc.transfer.kinds import (
    BANNED,
    HASH,
    JSON_OBJECT,
    LINE,
    META,
    NAME,
    PERIOD,
    ROW_NUMBER,
    STATE,
    TIME,
    UINT31,
    ColumnKind,
)


class Column(NamedTuple):
    """A column, which must have a value unless there is a default."""

    name: str
    kind: ColumnKind
    is_needed: bool = False
    default: Any = None


TABLES: dict[str, tuple[Column, ...]] = {
    "scores": (
        Column("level", UINT31, is_needed=True),
        Column("period", PERIOD, default=0),
        Column("user", UINT31, is_needed=True),
        Column("score", UINT31, is_needed=True),
        Column("reached_at", TIME),
        Column("name", NAME),
        Column("meta", META),
    ),
    "submissions": (
        Column("submission", ROW_NUMBER, is_needed=True),
        Column("level", UINT31, is_needed=True),
        Column("user", UINT31, is_needed=True),
        Column("score", UINT31, is_needed=True),
        Column("posted_at", TIME, is_needed=True),
        Column("day", UINT31, is_needed=True),
        Column("state", STATE, is_needed=True),
        Column("meta", META),
        Column("action", ROW_NUMBER),
        Column("state_before", STATE),
        Column("follows", ROW_NUMBER),
    ),
    "users": (
        Column("user", UINT31, is_needed=True),
        Column("name", NAME),
        Column("external", LINE),
        Column("secret_hash", HASH),
        Column("banned", BANNED),
        Column("banned_until", TIME),
        Column("reason", LINE),
    ),
    "levels": (
        Column("level", UINT31, is_needed=True),
        *[Column(name, LINE) for name in LevelRow._fields[1:]],
    ),
    "actions": (
        Column("action", ROW_NUMBER, is_needed=True),
        Column("acted_at", TIME, is_needed=True),
        Column("actor", LINE, is_needed=True),
        Column("kind", LINE, is_needed=True),
        Column("level", UINT31),
        Column("user", UINT31),
        Column("submission", ROW_NUMBER),
        Column("before", JSON_OBJECT, is_needed=True),
        Column("after", JSON_OBJECT, is_needed=True),
        Column("undoes", ROW_NUMBER),
    ),
}

assert TABLES.keys() == ROW_KINDS.keys()


def find_table(names: set[str]) -> str | None:
    """Returns the kind of row that columns of these names are of; None where there is none."""
    for what, columns in TABLES.items():
        if names <= {each.name for each in columns} and {each.name for each in columns if each.is_needed} <= names:
            return what
    return None
