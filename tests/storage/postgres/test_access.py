"""What nodes say of a database that does not let them in, and what they never say: the password."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from scoresvc.errors import Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage.postgres.library import psycopg
from tests.nodes import start_node
from tests.postgres import USER, Cluster, free_port
from tests.running import DidNotStart
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres

PASSWORD = "s3cret"


@pytest.fixture
def strict_cluster(own_cluster: Cluster) -> Cluster:
    """A server that asks for the password."""
    with own_cluster.connect() as connection:
        connection.execute(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        (own_cluster.folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        connection.execute("SELECT pg_reload_conf()")
    own_cluster.wait_until_refused("no password supplied")
    return own_cluster


def url_with(cluster: Cluster, password: str) -> str:
    return f"postgresql://{USER}:{password}@127.0.0.1:{cluster.port}/scores"


def start_in_vain(folder: Path, url: str) -> str:
    """Returns what a node says that cannot start."""
    with pytest.raises(DidNotStart) as refused:
        start_node(folder / "node", url)
    assert refused.value.status == 1
    return refused.value.log


def test_a_wrong_password_is_told_in_one_line_which_does_not_have_it(strict_cluster: Cluster, tmp_path: Path) -> None:
    said = start_in_vain(tmp_path, url_with(strict_cluster, "wr0ng"))

    assert len(said.splitlines()) == 1
    assert "password authentication failed" in said
    assert "wr0ng" not in said


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_server_that_cannot_be_reached_is_told_in_one_line(tmp_path: Path, hosts: int) -> None:
    addresses = ",".join(f"127.0.0.1:{free_port()}" for _ in range(hosts))

    said = start_in_vain(tmp_path, f"postgresql://{USER}:{PASSWORD}@{addresses}/scores")

    assert len(said.splitlines()) == 1
    assert f"cannot open the database postgresql://{addresses}/scores: " in said
    assert PASSWORD not in said


def test_a_database_that_does_not_exist_is_told_in_one_line(own_cluster: Cluster, tmp_path: Path) -> None:
    said = start_in_vain(tmp_path, own_cluster.url("nothing"))

    assert len(said.splitlines()) == 1
    assert 'database "nothing" does not exist' in said


def test_a_server_that_starts_is_told_in_one_line(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.stop()
    (own_cluster.folder / "recovery.signal").touch()
    own_cluster.launch("hot_standby=off", "restore_command=sleep 2; false")
    own_cluster.wait_until_refused("the database system is starting up")

    said = start_in_vain(tmp_path, own_cluster.url("scores"))

    assert len(said.splitlines()) == 1
    assert "the database system is" in said


def test_the_password_is_in_no_log_and_in_no_title_of_a_process(strict_cluster: Cluster, tmp_path: Path) -> None:
    with start_node(tmp_path / "node", url_with(strict_cluster, PASSWORD)) as server:
        _, key = server.call("GET", "/7/login")
        assert server.call("POST", f"/2/score?sessionkey={key}", "5") == (200, "")
        with strict_cluster.connect_as(PASSWORD) as connection:
            connection.execute(f"ALTER ROLE {USER} PASSWORD 'another'")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'scores'")
        refused = server.call("POST", f"/2/score?sessionkey={key}", "6")
        metrics = server.call("GET", "/ready")
        title = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()

        assert refused[0] == 503
        assert PASSWORD not in server.log + refused[1] + metrics[1]
        assert PASSWORD.encode() not in title
        assert "password authentication failed" in server.log


def test_with_no_connection_left_posts_and_reads_are_refused_until_there_is_one(
    own_cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()
    with own_cluster.connect() as connection, ExitStack() as others:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'scores'")
        take_all_connections(own_cluster, others)

        with pytest.raises(Unavailable):
            store.scores.post(2, 7, 6).result()
        with pytest.raises(Unavailable):
            store.boards.bests(7, WISH_ALL)

    until = time.monotonic() + 5
    while store.find_fault():
        assert time.monotonic() < until
    store.scores.post(2, 7, 7).result()
    assert store.boards.bests(7, WISH_ALL) == [(2, 7)]


def take_all_connections(cluster: Cluster, stack: ExitStack) -> None:
    with suppress(psycopg.OperationalError):
        while True:
            stack.enter_context(cluster.connect())
    cluster.wait_until_refused("too many clients")


def test_a_connection_that_one_node_has_is_enough_for_its_posts(own_cluster: Cluster, open_node: OpenNode) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()
    with ExitStack() as others:
        take_all_connections(own_cluster, others)

        store.scores.post(2, 7, 6).result()

    assert store.boards.bests(7, WISH_ALL) == [(2, 6)]
