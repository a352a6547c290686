"""Applies `migrations/postgres/NNNN_name.sql`, each once, in order, and `distribute.sql` where that is asked for."""

from __future__ import annotations

from scoresvc.errors import StartError
from scoresvc.storage.migrations import Migration, read_folder, read_script
from scoresvc.storage.postgres.connections import Connection, describe_error
from scoresvc.storage.postgres.library import is_retried, psycopg

LOCK_NUMBER = 7201  # of the advisory lock that nodes which migrate at once wait for
ATTEMPTS_MAX = 5  # of a migration in a deadlock with posts
LOCK_TIMEOUT = 2.0  # seconds, for a table; posts wait behind it, and for longer


def migrate(connection: Connection) -> list[str]:
    """Brings the database up to date in one transaction; returns the names of what was applied.

    Nodes of the version before go on meanwhile, until a statement of theirs needs what is gone. Raises StartError
    where the database is newer than this code, of another program, or cannot be written, and where another session
    keeps a table locked.
    """
    for _ in range(ATTEMPTS_MAX):
        try:
            with connection.transaction():
                return _apply_missing(connection)
        except psycopg.Error as error:
            fault = describe_error(error)
            if not is_retried(error):
                break
    raise StartError(f"cannot bring the database up to date: {fault}")


def _apply_missing(connection: Connection) -> list[str]:
    migrations = read_migrations()
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_NUMBER,))
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT * 1000:.0f}ms",))
    version = read_version(connection)
    if version > migrations[-1].version:
        raise StartError(
            f"the database has version {version}, this scoresvc knows {migrations[-1].version} at most;"
            " install a newer scoresvc"
        )
    missing = [migration for migration in migrations if migration.version > version]
    for migration in missing:
        _apply(connection, migration)
    return [migration.name for migration in missing]


def distribute(connection: Connection) -> list[str]:
    """Distributes the tables with Citus, in one transaction; returns the names of those that were not yet.

    Nodes that run meanwhile have to be started again. Raises StartError where it cannot be done.
    """
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_NUMBER,))
            before = _distributed_tables(connection)
            connection.execute(read_script("postgres", "distribute").encode())
            return sorted(_distributed_tables(connection) - before)
    except psycopg.Error as error:
        raise StartError(f"cannot distribute the database: {describe_error(error)}") from None


def has_citus(connection: Connection) -> bool:
    return connection.execute("SELECT FROM pg_extension WHERE extname = 'citus'").rowcount > 0


def is_distributed(connection: Connection) -> bool:
    return has_citus(connection) and "scores" in _distributed_tables(connection)


def _distributed_tables(connection: Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT logicalrelid::text FROM pg_dist_partition").fetchall()}


def read_migrations() -> list[Migration]:
    """Returns all migrations by version."""
    return read_folder("postgres")


def newest_version() -> int:
    return read_migrations()[-1].version


def read_version(connection: Connection) -> int:
    """Returns 0 for a database without our tables."""
    ((exists,),) = connection.execute("SELECT to_regclass('scoresvc_schema') IS NOT NULL").fetchall()
    if not exists:
        return 0
    ((version,),) = connection.execute("SELECT max(version) FROM scoresvc_schema").fetchall()
    return int(version)


def is_up_to_date(connection: Connection) -> bool:
    try:
        return read_version(connection) == newest_version()
    except psycopg.Error:
        return False


def _apply(connection: Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode())
    connection.execute("CREATE TABLE IF NOT EXISTS scoresvc_schema (version integer NOT NULL PRIMARY KEY)")
    connection.execute("INSERT INTO scoresvc_schema (version) VALUES (%s)", (migration.version,))
