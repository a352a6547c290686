"""The connections of a process with PostgreSQL.

Theory of operation: every thread that needs the database borrows a connection for one transaction or one query, and
gives it back. A connection that saw an error is closed: what state it is in, nobody knows. One that the server or a
proxy has closed while it was idle is readable, and is not lent again: a restart of the server fails what is under way
and nothing else. After a failover the next connection finds the new primary among the hosts of the URL, because each
asks for a server that takes writes. While there is none, one attempt at a time is made every RETRY_INTERVAL, and
everybody else is refused at once.

Reads go to the primary, too: a standby may lack what was acknowledged a moment ago. Only where no server takes writes,
as during a failover, is a standby asked that has replayed all that it has received, which with a synchronous standby is
all that was acknowledged.

A server that neither answers nor closes would hold its thread for ever. `_watch` shuts the socket of a connection that
is in use for longer than LEND_MAX; then libpq sees an end of file. A commit is never cancelled instead: PostgreSQL
answers a cancelled commit that waits for its standby with success.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.postgres.library import is_fault, psycopg, require_library

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
else:
    Connection = object  # psycopg may not be installed

CONNECT_TIMEOUT = 2  # seconds, for each host; libpq takes no less
RETRY_INTERVAL = 0.5  # seconds between two attempts to find a server that takes writes
BORROW_TIMEOUT = 2.0  # seconds that a thread waits for a connection while all are lent
LEND_MAX = 6.0  # seconds that one transaction may take
WATCH_INTERVAL = 0.5  # seconds
PREPARED_MAX = 200  # statements, of each connection

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


class ConnectionPool:
    """Lends up to `count_max` connections to any thread; with `prepares` the server keeps their statements' plans."""

    def __init__(self, url: str, count_max: int, prepares: bool) -> None:
        require_library()
        self._conninfo = read_url(url)
        self.prepares = prepares
        self._free = threading.BoundedSemaphore(count_max)
        self._idle: deque[Connection] = deque()
        self._watched: dict[Connection, float] = {}  # and since when, of time.monotonic
        self._connecting = threading.Lock()
        self._retry_at = 0.0  # of time.monotonic
        self._fault = ""
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="scoresvc-connections", daemon=True)
        self._watcher.start()

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lends a connection with the primary. Raises Unavailable where none can be had, and instead of any fault."""
        yield from self._lend(self.borrow())

    @contextmanager
    def lend_for_reading(self) -> Iterator[Connection]:
        """As `lend`; where there is no primary, the connection may be with a standby that has replayed everything."""
        yield from self._lend(self._borrow(self._take_for_reading))

    def borrow(self) -> Connection:
        """Returns a connection with the primary, to be given back. Raises Unavailable where none can be had."""
        return self._borrow(self._take)

    def give_back(self, connection: Connection, is_sound: bool) -> None:
        if is_sound and is_reusable(connection):
            self._idle.append(connection)
        else:
            connection.close()
        self._free.release()

    def watch(self, connection: Connection) -> None:
        """Has a connection cut that is not `unwatch`ed in time."""
        self._watched[connection] = time.monotonic()

    def unwatch(self, connection: Connection) -> None:
        self._watched.pop(connection, None)

    def _lend(self, connection: Connection) -> Iterator[Connection]:
        self.watch(connection)
        is_sound = False
        try:
            yield connection
            is_sound = True
        except Exception as error:
            if not is_fault(error):
                raise
            log.warning("the database failed: %s", describe_error(error))
            raise Unavailable from None
        finally:
            self.unwatch(connection)
            self.give_back(connection, is_sound)

    def _borrow(self, take: Callable[[], Connection]) -> Connection:
        if not self._free.acquire(timeout=BORROW_TIMEOUT):
            log.warning("all connections with the database are in use; see [database] connections")
            raise Unavailable
        try:
            return take()
        except BaseException:
            self._free.release()
            raise

    def _take_for_reading(self) -> Connection:
        try:
            return self._take()
        except Unavailable:
            return self._connect_standby()

    def _take(self) -> Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if is_alive(connection):
                    return connection
                connection.close()
        return self._connect_primary()

    def _connect_primary(self) -> Connection:
        with self._connecting:
            if time.monotonic() < self._retry_at:
                raise Unavailable
            try:
                connection = self._connect("read-write")
            except psycopg.Error as error:
                self._retry_at = time.monotonic() + RETRY_INTERVAL
                self._note_fault(describe_error(error))
                raise Unavailable from None
            self._note_fault("")
            return connection

    def _connect_standby(self) -> Connection:
        try:
            connection = self._connect("any")
        except psycopg.Error:
            raise Unavailable from None
        if _is_current_standby(connection):
            return connection
        connection.close()
        raise Unavailable

    def _connect(self, session: str) -> Connection:
        connection = psycopg.connect(self._conninfo, autocommit=True, target_session_attrs=session)
        connection.prepare_threshold = 0 if self.prepares else None
        connection.prepared_max = PREPARED_MAX
        connection.add_notice_handler(_log_notice)
        return connection

    def _note_fault(self, fault: str) -> None:
        """Logs once that there is no primary, and once that there is one again."""
        if fault and not self._fault:
            log.error("no database that takes writes: %s", fault)
        elif self._fault and not fault:
            log.warning("a database takes writes again")
        self._fault = fault

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_INTERVAL):
            overdue = time.monotonic() - LEND_MAX
            for connection, since in list(self._watched.items()):
                if since < overdue:
                    _cut(connection)

    def close(self) -> None:
        """Closes those that nobody uses."""
        self._closing.set()
        self._watcher.join()
        while self._idle:
            self._idle.pop().close()


def connect_alone(url: str) -> Connection:
    """Returns a connection with the primary for what may take long. Raises StartError."""
    require_library()
    try:
        return psycopg.connect(read_url(url), autocommit=True, target_session_attrs="read-write")
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
    return (
        not connection.closed
        and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        and connection.info.parameter_status("in_hot_standby") != "on"
    )


def _is_current_standby(connection: Connection) -> bool:
    """Returns whether all that the server has received shows in what it reads; a primary is no standby."""
    try:
        rows = connection.execute(
            """
            SELECT 1
             WHERE pg_is_in_recovery()
               AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
            """
        ).fetchall()
    except psycopg.Error:
        return False
    return bool(rows)


def _cut(connection: Connection) -> None:
    """Ends a connection under a thread that waits for it, which must not close the file descriptor meanwhile."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as same:
        log.warning("the database has not answered for %g s; the connection is cut", LEND_MAX)
        same.shutdown(socket.SHUT_RDWR)


def _log_notice(notice: psycopg.errors.Diagnostic) -> None:
    if notice.severity_nonlocalized == "WARNING":
        log.warning("the database says: %s", notice.message_primary)
