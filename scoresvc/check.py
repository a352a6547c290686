"""Holds the ranks and the indexes against the scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from scoresvc.database import Database, connect_reading
from scoresvc.errors import StartError
from scoresvc.migrate import read_migrations, split_statements
from scoresvc.sqlite import sqlite3

STEPS_PER_TICK = 100_000  # of SQLite's virtual machine, between two moves of the bar
STEPS_PER_SCORE = 60  # that the check of the indexes takes, about


def find_faults(path: Path) -> Iterator[str]:
    """Yields a line for each fault of the database at `path`, which it only reads, as it is at one moment.

    Shows its progress on a terminal. Raises StartError where there is no database of this version.
    """
    if not path.is_file():
        raise StartError(f"there is no database {path}")
    with closing(connect_reading(path)) as connection:
        try:
            connection.execute("BEGIN")
            _refuse_other_versions(connection, path)
            yield from _schema_faults(connection)
            yield from _level_faults(connection)
            yield from _block_faults(connection)
            yield from _group_faults(connection)
            yield from _index_faults(connection)
        except sqlite3.DatabaseError as error:
            yield f"the database cannot be read: {error}"


def repair(database: Database) -> None:
    """Makes the ranks and the indexes anew from the scores, in one transaction. Raises Unavailable."""
    database.write(_make_anew, None)


def _make_anew(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
    connection.execute("REINDEX scores")
    connection.execute("DELETE FROM rank_groups")
    connection.execute("DELETE FROM rank_blocks")
    connection.execute(
        """
        INSERT INTO rank_blocks (level_id, lowest_score, players)
        SELECT level_id, lowest_score, players FROM rank_blocks_anew
        """
    )
    connection.execute(
        """
        INSERT INTO rank_groups (level_id, lowest_score, players)
        SELECT level_id, lowest_score, players FROM rank_groups_anew
        """
    )
    return rows


def _refuse_other_versions(connection: sqlite3.Connection, path: Path) -> None:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    known = read_migrations()[-1].version
    if version != known:
        raise StartError(f"the database {path} has version {version}, not {known}; run scoresvc migrate")


def _schema_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Finds tables, indexes, views and triggers that are not as the migrations make them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for migration in read_migrations():
            for statement in split_statements(migration.sql):
                fresh.execute(statement)
        right, found = _schema(fresh), _schema(connection)
    for kind, name in sorted(right.keys() - found.keys()):
        yield f"the {kind} {name} is missing"
    for kind, name in sorted(key for key in right.keys() & found.keys() if right[key] != found[key]):
        yield f"the {kind} {name} is not as the migrations make it"


def _schema(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {(kind, name): sql for kind, name, sql in rows}


def _level_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id
          FROM scores
        EXCEPT
        SELECT level_id
          FROM rank_blocks
          JOIN rank_groups USING (level_id, lowest_score)
         WHERE lowest_score = 0
        """
    )
    for (level_id,) in rows.fetchall():
        yield f"level {level_id} has no block or no group that begins at 0"


def _block_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, lowest_score, players,
               (SELECT count(*)
                  FROM scores
                 WHERE level_id = block.level_id AND score >= block.lowest_score AND score < block.next_score)
          FROM (SELECT level_id, lowest_score, players,
                       lead(lowest_score, 1, 2147483648) OVER (PARTITION BY level_id ORDER BY lowest_score)
                         AS next_score
                  FROM rank_blocks) AS block
        """
    )
    with _bar("blocks", _count_scores(connection)) as bar:
        for level_id, lowest_score, players, counted in rows:
            bar.update(counted)
            if players != counted:
                yield f"level {level_id}: the block from {lowest_score} has {counted} players, not {players}"


def _group_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, lowest_score, players,
               (SELECT coalesce(sum(players), 0)
                  FROM rank_blocks AS block
                 WHERE block.level_id = band.level_id
                   AND block.lowest_score >= band.lowest_score AND block.lowest_score < band.next_score),
               EXISTS (SELECT 1
                         FROM rank_blocks AS block
                        WHERE block.level_id = band.level_id AND block.lowest_score = band.lowest_score)
          FROM (SELECT level_id, lowest_score, players,
                       lead(lowest_score, 1, 2147483648) OVER (PARTITION BY level_id ORDER BY lowest_score)
                         AS next_score
                  FROM rank_groups) AS band
        """
    )
    for level_id, lowest_score, players, counted, begins_a_block in rows:
        if players != counted:
            yield f"level {level_id}: the group from {lowest_score} has blocks of {counted} players, not {players}"
        if not begins_a_block:
            yield f"level {level_id}: the group from {lowest_score} begins inside a block"


def _index_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Lets SQLite check the whole file, with every score in every index."""
    scores = _count_scores(connection)
    with _bar("indexes", scores) as bar:

        def tick() -> None:
            bar.update(min(STEPS_PER_TICK // STEPS_PER_SCORE, scores - bar.n))

        connection.set_progress_handler(tick, STEPS_PER_TICK)
        rows = connection.execute("PRAGMA integrity_check").fetchall()
        bar.update(scores - bar.n)
    yield from (str(found) for (found,) in rows if found != "ok")


def _count_scores(connection: sqlite3.Connection) -> int:
    ((scores,),) = connection.execute("SELECT coalesce(sum(players), 0) FROM rank_groups").fetchall()
    return int(scores)


def _bar(name: str, scores: int) -> tqdm[NoReturn]:
    return tqdm(desc=name, total=scores, unit=" scores", unit_scale=True, disable=None)
