"""What is stored, in the database that the configuration names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from scoresvc.config import Config
from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.sqlite import check, migrate
from scoresvc.storage.sqlite.boards import Boards
from scoresvc.storage.sqlite.connections import Connections
from scoresvc.storage.sqlite.library import SQLITE_VERSION, supports_multiple_writers
from scoresvc.storage.sqlite.scores import Scores
from scoresvc.storage.sqlite.sessions import Sessions
from scoresvc.storage.sqlite.versions import LevelVersions


class Store(NamedTuple):
    """All that is stored. The numbers that come in are valid, 0 to 2147483647."""

    sessions: Sessions
    scores: Scores
    boards: Boards
    close: Callable[[], None]  # commits what waits and closes the database


ENGINE = f"SQLite {SQLITE_VERSION}"


def open_store(config: Config, clock: Callable[[], float] = time.time) -> Store:
    """Opens the database, brought up to date. `clock` returns Unix seconds. Raises StartError with the reason."""
    path = config.database.path
    connections = Connections(path, config.database.durability, config.server.processes)
    try:
        migrate.migrate(connections)
        return _assemble(connections, config.sessions.lifetime, config.sessions.one_per_user, clock)
    except Unavailable:  # not closed: a writer that has stopped for good ends the process, and too soon for this line
        raise StartError(f"cannot write to the database {path}; the line above says why") from None
    except (StartError, OSError) as error:
        connections.close()
        raise StartError(f"cannot use the database {path}: {error}") from None


def _assemble(connections: Connections, lifetime: int, one_per_user: bool, clock: Callable[[], float]) -> Store:
    versions = LevelVersions(connections.path.with_name(f"{connections.path.name}.changes"))
    boards = Boards(connections, versions)
    scores = Scores(connections, versions, clock)
    sessions = Sessions(connections, lifetime, one_per_user, clock)

    def close() -> None:
        sessions.stop_purging()
        connections.close()
        sessions.join()
        versions.close()

    return Store(sessions, scores, boards, close)


def refuse_unsupported_processes(config: Config) -> None:
    """Raises StartError where the engine does not support as many processes as are configured."""
    if config.server.processes > 1 and not supports_multiple_writers():
        raise StartError(
            f"[server] processes = {config.server.processes}: {ENGINE} does not support multiple writers;"
            " set it to 1, or install scoresvc[sqlite]"
        )


def migrate_database(config: Config) -> list[str]:
    """Brings the database up to date; returns the names of the migrations that were applied. Raises StartError."""
    connections = Connections(config.database.path)
    try:
        applied = migrate.migrate(connections)
    except Unavailable:  # not closed, see open_store
        raise StartError(f"cannot write to the database {config.database.path}; the line above says why") from None
    connections.close()
    return applied


def find_faults(config: Config) -> Iterator[str]:
    """Yields a line for each fault of the database, which it only reads. Raises StartError where there is none."""
    return check.find_faults(config.database.path)


def repair(config: Config) -> None:
    """Rebuilds ranks and indexes from the scores, in one transaction. Raises StartError."""
    with closing(Connections(config.database.path)) as connections:
        try:
            check.repair(connections)
        except Unavailable:
            raise StartError(
                f"cannot write to the database {config.database.path}; stop what else uses it, then try again"
            ) from None
