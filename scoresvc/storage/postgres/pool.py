"""The connections of a process with PostgreSQL, lent to its threads.

Theory of operation: every thread that needs the database borrows a connection for one transaction or one query, and
gives it back. A connection that saw an error is closed: what state it is in, nobody knows. One that the server or a
proxy has closed while it was idle is readable, and is not lent again: a restart of the server fails what is under way
and nothing else. After a failover the next connection finds the new primary among the hosts of the URL, because each
asks for a server that takes writes. While there is none, one attempt at a time is made every RETRY_INTERVAL, and
everybody else is refused at once: those who waited for the attempt would only fail later. Only who writes waits for
the next attempt, so that a short restart is not noticed: what was posted meanwhile gathers.

Reads go to the primary, too: a standby may lack what was acknowledged a moment ago. Only where no server takes writes,
as during a failover, is a standby asked: of several the one that has received most, when it has replayed that, which
with a synchronous standby is all that was acknowledged; or a primary that is read-only, on a disk that is nearly full.

A server that neither answers nor closes would hold its thread for ever. `Watch` shuts the socket of a connection that
is in use for longer than LEND_MAX; then libpq sees an end of file. The idle ones are closed with it: they lead to the
same server, and would each take as long. A commit is never cancelled instead: PostgreSQL answers a cancelled commit
that waits for its standby with success. Such a commit goes on at the server when its connection is cut, and keeps its
session. So nothing is written while commits wait there: else one more session would be left behind each time, until
the server takes no connection for reading either.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from scoresvc.errors import Unavailable
from scoresvc.storage.postgres.connections import (
    Connection,
    describe_error,
    has_synchronous_standby,
    is_alive,
    is_reusable,
    log,
    log_notice,
    notice_lost_clients,
    read_url,
    refuse_waiting_commits,
    wait_for_replay,
)
from scoresvc.storage.postgres.hosts import Hosts, Look
from scoresvc.storage.postgres.library import is_fault, psycopg, require_library
from scoresvc.storage.postgres.watch import LEND_MAX, Watch

RETRY_INTERVAL = 0.5  # seconds between two attempts to find a server
BORROW_TIMEOUT = 2.0  # seconds that a thread waits for a connection while all are lent
PREPARED_MAX = 200  # statements, of each connection


class Attempts:
    """Lets one thread at a time try what has failed again, every RETRY_INTERVAL, and refuses all others at once.

    Logs once that it fails, with `failure`, and once that it works again, with `success`.
    """

    def __init__(self, failure: str, success: str) -> None:
        self._failure = failure
        self._success = success
        self._trying = threading.Lock()
        self._retry_at = 0.0  # of time.monotonic
        self._fault = ""

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Is for a `with` block that tries. Raises Unavailable, also instead of an error of the database."""
        if not self._trying.acquire(blocking=not self._fault):
            raise Unavailable
        try:
            if time.monotonic() < self._retry_at:
                raise Unavailable
            yield
            self._note("")
        except psycopg.Error as error:
            self._retry_at = time.monotonic() + RETRY_INTERVAL
            self._note(describe_error(error))
            raise Unavailable from None
        finally:
            self._trying.release()

    def wait(self) -> None:
        """Waits until an attempt may be made."""
        if self._fault:
            time.sleep(max(self._retry_at - time.monotonic(), 0))

    def _note(self, fault: str) -> None:
        if fault and not self._fault:
            log.error("%s: %s", self._failure, fault)
        elif self._fault and not fault:
            log.warning("%s", self._success)
        self._fault = fault


class StandbyWarning:
    """Warns where a primary acknowledges alone, and the one before did not.

    ALTER SYSTEM is not replicated, so a standby that is promoted may have been told of none.
    """

    def __init__(self) -> None:
        self._has_standby = False

    def look(self, connection: Connection) -> None:
        has_standby = has_synchronous_standby(connection)
        if self._has_standby and not has_standby:
            log.warning(
                "the primary has no synchronous standby any more: what it acknowledges is lost with it;"
                " set synchronous_standby_names there"
            )
        self._has_standby = has_standby


class ConnectionPool:
    """Lends up to `count_max` connections to any thread; with `prepares` the server keeps their statements' plans."""

    def __init__(self, url: str, count_max: int, prepares: bool) -> None:
        require_library()
        self._hosts = Hosts(read_url(url), self._connect)
        self.prepares = prepares
        self._free = threading.BoundedSemaphore(count_max)
        self._idle: deque[Connection] = deque()
        self.watch = Watch(self._distrust)
        self._standbys: set[Connection] = set()  # are lent once, even if they have been promoted meanwhile
        self._primary = Attempts("no database takes writes", "a database takes writes again")
        self._standby = Attempts("no standby can be read", "a standby can be read")
        self._commits = Attempts("nothing can be committed", "commits are confirmed again")
        self._has_cut = False  # a connection, since commits were last seen not to wait
        self._warning = StandbyWarning()

    @contextmanager
    def lend(self, seconds: float = LEND_MAX) -> Iterator[Connection]:
        """Lends a connection with the primary. Raises Unavailable where none can be had, and instead of any fault."""
        yield from self._lend(self._borrow(self._take_for_writing), seconds)

    @contextmanager
    def lend_for_reading(self) -> Iterator[Connection]:
        """As `lend`; where there is no primary, the connection may be with a standby that has replayed everything."""
        yield from self._lend(self._borrow(self._take_for_reading))

    def check(self) -> None:
        """Raises Unavailable where no server takes writes."""
        with self.lend() as connection:
            self._warning.look(connection)

    def borrow(self) -> Connection:
        """Returns a connection with the primary, to be given back. Raises Unavailable where none can be had."""
        return self._borrow(self._take)

    def give_back(self, connection: Connection, is_sound: bool) -> None:
        self._keep(connection, is_sound)
        self._free.release()

    def _keep(self, connection: Connection, is_sound: bool) -> None:
        is_standby = connection in self._standbys
        self._standbys.discard(connection)
        if is_sound and not is_standby and is_reusable(connection):
            self._idle.append(connection)
        else:
            connection.close()

    def _lend(self, connection: Connection, seconds: float = LEND_MAX) -> Iterator[Connection]:
        is_sound = False
        try:
            with self.watch.during(connection, seconds):
                yield connection
            is_sound = True
        except Unavailable:  # of who had it, and has ended what it began
            is_sound = True
            raise
        except Exception as error:
            if not is_fault(error):
                raise
            log.warning("the database failed: %s", describe_error(error))
            raise Unavailable from None
        finally:
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

    def _take_for_writing(self) -> Connection:
        connection = self._take_idle()
        if connection is None:
            self._primary.wait()
            connection = self._connect_primary()
        if not self._has_cut:
            return connection
        try:
            with self.watch.during(connection), self._commits.attempt():
                refuse_waiting_commits(connection)
                self._has_cut = False
        except Unavailable:
            self._keep(connection, is_sound=True)
            raise
        return connection

    def _take_for_reading(self) -> Connection:
        try:
            return self._take()
        except Unavailable:
            with self._standby.attempt():
                connection = self._hosts.connect_latest(wait_for_replay)
                self._standbys.add(connection)
                return connection

    def _take(self) -> Connection:
        return self._take_idle() or self._connect_primary()

    def _take_idle(self) -> Connection | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if is_alive(connection):
                    return connection
                connection.close()
        return None

    def _connect_primary(self) -> Connection:
        with self._primary.attempt():
            return self._hosts.connect_primary(self._warning.look)

    def _connect(self, conninfo: str, session: str, look: Look) -> Connection:
        connection = psycopg.connect(conninfo, autocommit=True, target_session_attrs=session)
        connection.prepare_threshold = 0 if self.prepares else None
        connection.prepared_max = PREPARED_MAX
        connection.add_notice_handler(log_notice)
        try:
            with self.watch.during(connection):
                look(connection)
                if self.prepares:  # else the session is lent to others, too
                    notice_lost_clients(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _distrust(self) -> None:
        """Is called before a connection is cut."""
        self._has_cut = True
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Closes those that nobody uses."""
        self.watch.stop()
        self._close_idle()
