"""The servers that an address names, and which of them is asked.

A machine that is gone does not even refuse a connection: whoever asks it waits for CONNECT_TIMEOUT. So a server that
has not answered is left out for SILENT_FOR, and then asked again by one thread, unless no other one is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from scoresvc.storage.postgres.connections import Connection, describe_error
from scoresvc.storage.postgres.library import psycopg

SILENT_FOR = 5.0  # seconds

Look = Callable[[Connection], object]  # raises what makes a server unfit


class Hosts:
    """`connect` takes the parameters of one server, which sessions will do, and a function to look at the connection.

    Safe in several threads.
    """

    def __init__(self, conninfo: str, connect: Callable[[str, str, Look], Connection]) -> None:
        self._hosts = _split(conninfo)
        self._open = connect
        self._silent: dict[str, float] = {}  # until when it is left out, of time.monotonic

    def connect_primary(self, look: Look) -> Connection:
        """Returns a connection with a server that takes writes. Raises OperationalError."""
        faults = []
        for host in self._answering():
            try:
                return self._connect(host, "read-write", look)
            except psycopg.Error as error:
                faults.append(describe_error(error))
        raise psycopg.OperationalError("; ".join(faults))

    def connect_latest(self, look: Look) -> Connection:
        """Returns a connection with the server whose log goes furthest; a primary's goes further than any standby's.

        Raises OperationalError where none answers.
        """
        hosts = self._answering()
        if len(hosts) > 1:
            positions: dict[str, tuple[bool, int]] = {}
            for host in hosts:
                with suppress(psycopg.Error):
                    self._connect(host, "any", partial(_note, positions, host)).close()
            hosts = [max(positions, key=positions.__getitem__, default=hosts[0])]
        return self._connect(hosts[0], "any", look)

    def _answering(self) -> list[str]:
        now = time.monotonic()
        return [host for host in self._hosts if self._silent.get(host, 0) < now] or self._hosts

    def _connect(self, host: str, session: str, look: Look) -> Connection:
        if host in self._silent:
            self._leave_out(host)  # others do not wait for it meanwhile
        try:
            connection = self._open(host, session, look)
        except psycopg.errors.ConnectionTimeout:
            self._leave_out(host)
            raise
        except psycopg.Error:
            self._silent.pop(host, None)
            raise
        self._silent.pop(host, None)
        return connection

    def _leave_out(self, host: str) -> None:
        self._silent[host] = time.monotonic() + SILENT_FOR


def _split(conninfo: str) -> list[str]:
    """Returns the parameters for each server alone."""
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    lists = {name: f"{given[name]}".split(",") for name in ("host", "hostaddr", "port") if name in given}
    count = max(map(len, lists.values()), default=1)
    hosts = [{name: values[place % len(values)] for name, values in lists.items()} for place in range(count)]
    return [psycopg.conninfo.make_conninfo("", **(given | host)) for host in hosts]


def _note(positions: dict[str, tuple[bool, int]], host: str, connection: Connection) -> None:
    """Notes whether the server is a primary, and how many bytes of its log it has received."""
    ((is_standby, received),) = connection.execute(
        """
        SELECT pg_is_in_recovery(),
               CASE WHEN pg_is_in_recovery()
                    THEN pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
                    ELSE 0
               END
        """
    ).fetchall()
    positions[host] = not is_standby, int(received)
