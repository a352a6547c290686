"""What is stored, in the database that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.storage.postgres import store as postgres_store
from scoresvc.storage.postgres import transfers as postgres_transfers
from scoresvc.storage.sqlite import shell as sqlite_shell
from scoresvc.storage.sqlite import store as sqlite_store
from scoresvc.storage.sqlite import transfers as sqlite_transfers
from scoresvc.storage.sqlite.messages import MessageStream, make_pair
from scoresvc.storage.sqlite.store import open_remote_store, run_writer
from scoresvc.storage.store import COUNTERS, AdminAccess, Export, ImportChunk, Store, WouldBlock

__all__ = [
    "COUNTERS",
    "AdminAccess",
    "Export",
    "ImportChunk",
    "MessageStream",
    "Store",
    "WouldBlock",
    "back_up",
    "copy_database",
    "describe",
    "distribute_database",
    "engine_name",
    "find_faults",
    "has_one_writer",
    "make_pair",
    "migrate_database",
    "open_admin",
    "open_export",
    "open_import",
    "open_remote_store",
    "open_store",
    "repair",
    "restore",
    "run_writer",
]


class Engine(Protocol):
    """A module that keeps what is stored."""

    ENGINE: str

    def open_store(self, config: Config, clock: Callable[[], float] | None, counted: Sequence[str]) -> Store: ...

    def describe(self, config: Config) -> str: ...

    def migrate_database(self, config: Config) -> list[str]: ...

    def distribute_database(self, config: Config) -> list[str]: ...

    def find_faults(self, config: Config) -> Iterator[str]: ...

    def repair(self, config: Config) -> None: ...

    def back_up(self, config: Config, to: Path, keep: int | None) -> Path: ...

    def restore(self, config: Config, backup: Path) -> Path | None: ...


def _engine_of(config: Config) -> Engine:
    return postgres_store if config.database.url else sqlite_store


def has_one_writer(config: Config) -> bool:
    """Returns whether several processes need one that writes for them all: see `run_writer`, `open_remote_store`."""
    return _engine_of(config) is sqlite_store


def open_store(config: Config, clock: Callable[[], float] | None = None, counted: Sequence[str] = COUNTERS) -> Store:
    """Opens the database, brought up to date, with a writer in this process.

    `clock` returns Unix seconds, instead of the clock of the engine; `counted` are the names of the counters, the same
    in all processes of a database, COUNTERS among them. Raises StartError with the reason.
    """
    return _engine_of(config).open_store(config, clock, counted)


def open_admin(config: Config) -> AbstractContextManager[AdminAccess]:
    """Opens the database for the commands of operators, also while a service runs on it. Raises StartError."""
    return postgres_store.open_admin(config) if config.database.url else sqlite_shell.open_admin(config)


def open_export(config: Config) -> AbstractContextManager[Export]:
    """Opens the database to read what is exported, also while a service runs on it. Raises StartError."""
    return postgres_transfers.open_export(config) if config.database.url else sqlite_transfers.open_export(config)


def open_import(config: Config, is_dry: bool) -> AbstractContextManager[ImportChunk]:
    """Opens the database to store what is imported, also while a service runs on it; `is_dry`: to store nothing.

    Raises StartError.
    """
    transfers: Any = postgres_transfers if config.database.url else sqlite_transfers
    opened: AbstractContextManager[ImportChunk] = (transfers.open_dry_import if is_dry else transfers.open_import)(
        config
    )
    return opened


def describe(config: Config) -> str:
    """Returns which database it is, on one line, without a password."""
    return _engine_of(config).describe(config)


def engine_name(config: Config) -> str:
    """Returns the engine, with its version where that is known without asking a server."""
    return _engine_of(config).ENGINE


def migrate_database(config: Config) -> list[str]:
    """Brings the database up to date; returns the names of the migrations that were applied. Raises StartError."""
    return _engine_of(config).migrate_database(config)


def copy_database(config: Config, path: Path) -> dict[str, int]:
    """Copies the SQLite database at `path` into the PostgreSQL one, which has no scores; returns the rows by table.

    Raises StartError.
    """
    if not config.database.url:
        raise StartError("scoresvc copy needs [database] url: it copies into a PostgreSQL database")
    return postgres_store.copy_database(config, path)


def distribute_database(config: Config) -> list[str]:
    """Brings the database up to date and spreads its tables over several servers; returns what was done, in words.

    Raises StartError, also where the engine cannot do that.
    """
    return _engine_of(config).distribute_database(config)


def find_faults(config: Config) -> Iterator[str]:
    """Yields a line for each fault of the database, which it only reads. Raises StartError where there is none."""
    return _engine_of(config).find_faults(config)


def back_up(config: Config, to: Path, keep: int | None) -> Path:
    """Makes a checked copy of the database, also while it is in use, and returns its path.

    `to` is a file, or a folder, of whose backups the newest `keep` are kept, or all. Raises StartError with the reason.
    """
    return _engine_of(config).back_up(config, to, keep)


def restore(config: Config, backup: Path) -> Path | None:
    """Puts a backup in the place of the database, which nobody has open; returns where that is now.

    It is None where there was none. Raises StartError with the reason.
    """
    return _engine_of(config).restore(config, backup)


def repair(config: Config) -> None:
    """Puts right what `find_faults` finds, as far as the engine can. Raises StartError."""
    _engine_of(config).repair(config)
