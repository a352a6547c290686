"""A cluster of Citus of the tests' own: a coordinator and two workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from scoresvc.storage.postgres.library import psycopg
from tests import postgres
from tests.postgres import QUICK, Cluster, find_program

SETTINGS = (
    *QUICK,
    "shared_preload_libraries=citus",
    "max_prepared_transactions=100",  # for commits over several shards
    "citus.shard_count=8",
    "citus.node_conninfo=sslmode=disable",
)


def why_missing() -> str:
    """Returns why there can be no cluster; nothing where there can."""
    if reason := postgres.why_missing():
        return reason
    program = find_program("postgres")
    folders = [] if program is None else [program.resolve().parents[1] / each for each in ("lib", "lib/postgresql")]
    return "" if any((each / "citus.so").exists() for each in folders) else "there is no Citus on this machine"


class CitusCluster:
    """The first node is the coordinator, which has no shards; the rows are on the others."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Cluster(folder / f"node{number}", SETTINGS) for number in range(3)]
        self.coordinator, *self.workers = self.nodes
        self._numbers = count(1)

    def start(self) -> None:
        for node in self.nodes:
            node.make()
            node.launch()
        for node in self.nodes:
            node.wait_until_accepting()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Makes an empty database with the extension, over all nodes, for a `with` block; yields its URL."""
        name = f"test{next(self._numbers)}"
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(_making(node, name))
            with self.coordinator.connect(name) as connection:
                connection.execute("SELECT citus_set_coordinator_host('127.0.0.1', %s)", (self.coordinator.port,))
                for worker in self.workers:
                    connection.execute("SELECT citus_add_node('127.0.0.1', %s)", (worker.port,))
            yield self.coordinator.url(name)


@contextmanager
def _making(node: Cluster, name: str) -> Iterator[None]:
    with node.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with node.connect(name) as connection:
        connection.execute("CREATE EXTENSION citus")
    yield
    with node.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def levels_of(port: int) -> str:
    """Returns the query for the levels of the worker on `port`."""
    return f"""
    SELECT level_id
      FROM boards
     WHERE get_shard_id_for_distribution_column('boards', level_id)
           IN (SELECT shardid FROM citus_shards WHERE nodeport = {port})
       AND period = 0
    """


def names_a_table(query: str) -> bool:
    """Returns whether a statement reads or writes a table that is distributed."""
    tables = ("boards", "scores", "bands", "submissions", "level_settings", "sessions")
    return any(f" {table} " in f"{query} ".replace("\n", " ") for table in tables)


def explain(url: str, query: str, values: Any) -> str:
    """Returns the plan of a statement."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"EXPLAIN {query}".encode(), values).fetchall()
        connection.rollback()
    return "".join(f"{line}\n" for (line,) in rows)
