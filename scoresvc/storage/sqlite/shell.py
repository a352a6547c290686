"""The database as the commands of operators use it, whether a service runs on it or not.

Theory of operation: only one process writes to a database. Where a service does, it listens on a socket beside the
database, and an action is sent to it; where none does, the command is the process that writes for as long as it runs,
so a service that starts meanwhile is refused. Both read the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions, LevelSettings
from scoresvc.storage.sqlite.acting import Acting, Announcer
from scoresvc.storage.sqlite.admin import Admin
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.control_socket import connect
from scoresvc.storage.sqlite.ledger import SqliteLedger
from scoresvc.storage.sqlite.maintenance import Maintenance
from scoresvc.storage.sqlite.store import open_database
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Transactions
from scoresvc.storage.sqlite.versions import LevelVersions, versions_path
from scoresvc.storage.sqlite.writer import Writer
from scoresvc.storage.store import AdminAccess

CACHE = "PRAGMA cache_size = -24576"  # KiB: an import of any size takes less than 100 MB with Python's own


@contextmanager
def open_admin(config: Config) -> Iterator[AdminAccess]:
    """See `storage.open_admin`."""
    path = config.database.path.resolve()
    with ExitStack() as stack:
        client = connect(path)
        begin = (stack.enter_context(closing(client)) if client else stack.enter_context(open_writer(config))).begin
        versions = stack.enter_context(closing(open_versions(path)))
        announcer = Announcer(versions)
        changes = Acting(announcer, config, time.time), Maintenance(announcer, config)
        readers = stack.enter_context(closing(Readers(path)))
        admin = Admin(readers, versions, begin, *changes, config.levels, time.time)
        yield AdminAccess(admin, partial(_read_settings, readers, config.levels))


@contextmanager
def open_writer(config: Config) -> Iterator[Writer]:
    """Lends a writer of this process; where it stops by itself, whoever waits for it says so."""
    database = open_database(config)
    database.connection.execute(CACHE)
    writer = Writer(Transactions(database.connection, database.verify_files), on_broken=_leave_it)
    try:
        yield writer
    finally:
        writer.stop()
        database.close()


def _leave_it() -> None:
    """Is for a process that ends anyway."""


def open_versions(path: Path) -> LevelVersions:
    try:
        return LevelVersions(versions_path(path))
    except OSError as error:
        raise StartError(f"cannot use the database {path}: {error}") from None


def _read_settings(readers: Readers, options: LevelOptions, level_id: int) -> LevelSettings:
    with readers.snapshot() as connection:
        return SqliteLedger(connection, Touched(), options, 0).settings_of(level_id)
