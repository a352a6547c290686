"""A PostgreSQL server of the tests' own, on a free port of this machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import migrate_database
from scoresvc.storage.postgres.library import psycopg

START_WAIT = 20.0  # seconds
USER = "postgres"  # the server refuses to run as root

# No database here outlives its test, so nothing waits for the disk; a drill that is about the disk says otherwise.
QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
ALWAYS = ("max_connections=60", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB")


def find_program(name: str) -> Path | None:
    """Returns a program of the server, also where Debian hides it."""
    found = shutil.which(name)
    hidden = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return Path(found) if found else next(iter(hidden), None)


def why_missing() -> str:
    """Returns why there can be no server; nothing where there can."""
    if psycopg is None:
        return "psycopg is not installed"
    if find_program("postgres") is None or find_program("initdb") is None:
        return "there is no PostgreSQL server on this machine"
    return ""


def run(program: str, *arguments: str) -> None:
    """Runs a program of the server to its end; as root, as the user of Debian's package."""
    command = [f"{find_program(program)}", *arguments]
    user = USER if os.geteuid() == 0 else None
    done = subprocess.run(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", text=True)
    assert done.returncode == 0, f"{program}: {done.stderr}"


def free_port() -> int:
    """Returns a port that is free now, and that no system gives to a client meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Cluster:
    """One server with its data in `folder`, which is made; `start` and `stop` may follow each other."""

    def __init__(self, folder: Path, settings: tuple[str, ...] = QUICK, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._idle: list[str] = []

    def make(self) -> None:
        self._make_folder()
        run("initdb", "-D", f"{self.folder}", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def copy(self, primary: Cluster) -> None:
        """Makes this a standby of `primary`, which runs."""
        self._make_folder()
        connection = f"host=127.0.0.1 port={primary.port} user={USER} application_name=standby{self.port}"
        run("pg_basebackup", "-D", f"{self.folder}", "-R", "-c", "fast", "--no-sync", "-d", connection)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
            for parent in self.folder.parents:  # of a temporary folder, that only root may enter
                with suppress(PermissionError):
                    parent.chmod(parent.stat().st_mode | 0o111)

    def start(self, *more: str) -> None:
        """Starts the server, with more settings, and waits until it lets somebody in."""
        self.launch(*more)
        self.wait_until_accepting()

    def launch(self, *more: str) -> None:
        settings = [f"--{each}" for each in (*ALWAYS, *self.settings, *more)]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [f"{find_program('postgres')}", "-D", f"{self.folder}", "-p", f"{self.port}", *settings],
                user=USER if os.geteuid() == 0 else None,
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def wait_until_accepting(self) -> None:
        self._wait_for_answer("")

    def wait_until_refused(self, reason: str) -> None:
        self._wait_for_answer(reason)

    def _wait_for_answer(self, reason: str) -> None:
        """Waits until the server refuses a connection with this reason; without one, until it takes it."""
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until:
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if reason and reason in str(error):
                    return
            else:
                if not reason:
                    return
            time.sleep(0.02)
        said = (self.folder.parent / f"{self.folder.name}.log").read_text()[-2000:]
        raise AssertionError(f"PostgreSQL did not {'refuse' if reason else 'start'}: {said}")

    def wait_for(self, query: str, database: str = "postgres") -> None:
        """Waits until a query returns a row."""
        until = time.monotonic() + START_WAIT
        with self.connect(database) as connection:
            while not connection.execute(query.encode()).fetchall():
                assert time.monotonic() < until, query
                time.sleep(0.01)

    def promote(self) -> None:
        run("pg_ctl", "promote", "-D", f"{self.folder}", "-w")

    def stop(self) -> None:
        """Shuts the server down at once, but cleanly."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server and all its processes, as a machine that fails does."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)  # so that it starts no other one
            children = subprocess.run(["pgrep", "-P", f"{self._process.pid}"], capture_output=True, check=False)
            pids = [int(each) for each in children.stdout.split()]
            self._process.kill()
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None
            while any(map(_is_running, pids)):  # until then nobody may start it again
                time.sleep(0.001)

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database), autocommit=True)

    def connect_as(self, password: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(), password=password, autocommit=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Makes an empty database for a `with` block; yields its URL."""
        name = f"test{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            with self.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def emptied_database(self) -> Iterator[str]:
        """Lends a database that is up to date and empty for a `with` block; yields its URL.

        It is used again and again: to make one takes longer than most tests.
        """
        url = self._idle.pop() if self._idle else self._make_up_to_date()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                """
                TRUNCATE sessions, scores, bands, boards, submissions, level_settings, bans, tokens, actions, users,
                         keyed_posts
                 RESTART IDENTITY
                """
            )
        self._idle.append(url)

    def _make_up_to_date(self) -> str:
        name = f"test{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        migrate_database(Config(database=DatabaseOptions(url=self.url(name))))
        return self.url(name)
