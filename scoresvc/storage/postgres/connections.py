"""Connections with PostgreSQL."""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scoresvc.errors import StartError
from scoresvc.storage.postgres.library import psycopg, require_library

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
else:
    Connection = object  # psycopg may not be installed

CONNECT_TIMEOUT = 2  # seconds, for each host; libpq takes no less
REPLAY_WAIT = 1.0  # seconds that a standby may take to show what it has received
REPLAY_PAUSE = 0.02  # seconds

# What the URL does not say itself. A dead peer is noticed within seconds, although it never closes the connection.
PARAMETERS = {
    "application_name": "scoresvc",
    "connect_timeout": f"{CONNECT_TIMEOUT}",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "6000",
}

log = logging.getLogger("scoresvc.database")


def connect_alone(url: str, session: str = "read-write") -> Connection:
    """Returns a connection for what may take long, with the primary or with "any" server. Raises StartError."""
    require_library()
    try:
        return psycopg.connect(read_url(url), autocommit=True, target_session_attrs=session)
    except psycopg.Error as error:
        raise StartError(f"cannot open the database {without_password(url)}: {describe_error(error)}") from None


def read_url(url: str) -> str:
    """Returns the parameters of a URL, with PARAMETERS where it says nothing. Raises StartError."""
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:  # whose text may have a piece of the password
        raise StartError(f"[database] url = {without_password(url)}: is not what libpq takes for an address") from None
    return psycopg.conninfo.make_conninfo("", **(PARAMETERS | given))


def without_password(url: str) -> str:
    """Returns scheme, hosts and database of a URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def describe_error(error: BaseException) -> str:
    """Returns an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def is_alive(connection: Connection) -> bool:
    """Returns whether an idle connection is still open: the other side has nothing to say but that it is not."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def is_reusable(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def notice_lost_clients(connection: Connection) -> None:
    """Has the server end a session whose connection was cut, instead of letting it wait for a lock for ever.

    Servers older than 14, and those on some systems, cannot.
    """
    with suppress(psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue):
        connection.execute("SELECT set_config('client_connection_check_interval', '2s', false)")


def wait_for_replay(connection: Connection) -> None:
    """Waits until a standby shows all that it has received by now. Raises OperationalError where that takes too long.

    A primary, which takes no writes when this is asked, has nothing to wait for.
    """
    ((received,),) = connection.execute(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE '0/0' END"
    ).fetchall()
    until = time.monotonic() + REPLAY_WAIT
    while time.monotonic() < until:
        ((is_shown,),) = connection.execute(
            "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %s::pg_lsn", (received,)
        ).fetchall()
        if is_shown:
            return
        time.sleep(REPLAY_PAUSE)
    raise psycopg.OperationalError("the standby has not replayed what it received")


def refuse_waiting_commits(connection: Connection) -> None:
    """Raises OperationalError where commits have been waiting for a synchronous standby for long."""
    rows = connection.execute(
        """
        SELECT 1
          FROM pg_stat_activity
         WHERE datname = current_database()
           AND wait_event = 'SyncRep'
           AND query_start < clock_timestamp() - interval '4 seconds'
         LIMIT 1
        """
    ).fetchall()
    if rows:
        raise psycopg.OperationalError("commits wait for a synchronous standby")


def has_synchronous_standby(connection: Connection) -> bool:
    """Returns whether the server lets commits wait for a standby."""
    rows = connection.execute("SELECT current_setting('synchronous_standby_names', true)").fetchall()
    return bool(rows[0][0])


def cut(connection: Connection) -> None:
    """Ends a connection under a thread that waits for it, which must not close the file descriptor meanwhile."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as same:
        log.warning("the database has not answered in time; the connection is cut")
        same.shutdown(socket.SHUT_RDWR)


def log_notice(notice: psycopg.errors.Diagnostic) -> None:
    if notice.severity_nonlocalized == "WARNING":
        log.warning("the database says: %s", notice.message_primary)


@contextmanager
def read_snapshot(connection: Connection) -> Iterator[None]:
    """Lets all queries of a `with` block see the database as it is at one moment."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
