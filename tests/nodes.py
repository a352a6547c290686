"""Nodes: services that really run, each in a folder and a process of its own, on one PostgreSQL database."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import find_faults
from scoresvc.storage.postgres.library import psycopg
from tests.postgres import USER, Cluster
from tests.running import Server

LIFETIME = 86_400  # seconds, of sessions

SYNCHRONOUS = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")


def start_node(
    folder: Path, url: str, command: Sequence[str] = (), lifetime: int = LIFETIME, **options: object
) -> Server:
    """Starts `scoresvc serve`, or `command`, with these options of [database]; the folder is made."""
    folder.mkdir()
    lines = "\n".join(f"{name} = {value}" for name, value in options.items())
    (folder / "config.ini").write_text(f"[sessions]\nlifetime = {lifetime}\n[database]\nurl = {url}\n{lines}\n")
    return Server(folder, command=command)


@contextmanager
def start_nodes(folder: Path, count: int, url: str, **options: object) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(start_node(folder / f"node{number}", url, **options)) for number in range(count)]


def url_of(clusters: Sequence[Cluster], database: str = "scores") -> str:
    """Returns the address of a database that is on one of several servers."""
    return f"postgresql://{USER}@{','.join(f'127.0.0.1:{each.port}' for each in clusters)}/{database}"


def faults_of(url: str) -> list[str]:
    """Returns what `scoresvc check` finds."""
    return list(find_faults(Config(database=DatabaseOptions(url=url))))


def read_bests(url: str) -> dict[tuple[int, int], int]:
    """Returns all scores, by level and user."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT level_id, user_id, score FROM scores").fetchall()
    return {(level_id, user_id): score for level_id, user_id, score in rows}


def make_synchronous(primary: Cluster, standby: Cluster) -> None:
    """Lets the commits of `primary` wait for `standby` from now on, and waits until they do."""
    standby.copy(primary)
    with (standby.folder / "postgresql.auto.conf").open("a") as settings:
        settings.write("synchronous_standby_names = ''\n")  # otherwise it would wait for a third one when promoted
    standby.start()
    with primary.connect() as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
    primary.wait_for("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")


def is_listening(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
