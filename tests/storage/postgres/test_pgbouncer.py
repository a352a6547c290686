"""PgBouncer in transaction mode between nodes and PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoresvc.storage.postgres.library import psycopg
from tests.nodes import faults_of, is_listening, read_bests, start_nodes
from tests.postgres import USER, Cluster, free_port
from tests.running import START_WAIT, Posts

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed"),
]

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


@pytest.fixture
def pooled_url(own_cluster: Cluster) -> Iterator[str]:
    """The address of the database `scores` behind four connections that all nodes share."""
    folder, port = own_cluster.folder.parent, free_port()
    (folder / "users.txt").write_text(f'"{USER}" ""\n')
    configuration = CONFIGURATION.format(server=own_cluster.port, port=port, users=folder / "users.txt")
    (folder / "pgbouncer.ini").write_text(configuration)
    with (folder / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(
            [f"{PGBOUNCER}", f"{folder / 'pgbouncer.ini'}"],
            user=USER if os.geteuid() == 0 else None,
            stdout=log,
            stderr=log,
        )
    until = time.monotonic() + START_WAIT
    while not is_listening(port):
        assert time.monotonic() < until, (folder / "pgbouncer.log").read_text()
        time.sleep(0.01)
    yield f"postgresql://{USER}@127.0.0.1:{port}/scores"
    process.terminate()
    process.wait(10)


def test_several_nodes_share_a_few_connections(pooled_url: str, own_cluster: Cluster, tmp_path: Path) -> None:
    with start_nodes(tmp_path, 3, pooled_url, prepare="no") as nodes:
        all_posts = [Posts(node, 4, first_level=number * 10**6) for number, node in enumerate(nodes)]
        for posts in all_posts:
            posts.wait_for(150)
        for posts in all_posts:
            posts.stop()
        _, key = nodes[0].call("GET", "/7/login")
        assert nodes[1].call("POST", f"/2000000000/score?sessionkey={key}", "5") == (200, "")
        assert nodes[2].call("GET", "/2000000000/highscorelist") == (200, "7=5")
        assert nodes[2].call("GET", "/2000000000/rank/7")[0] == 200
        assert nodes[0].call("GET", "/2000000000/around/7")[0] == 200
        assert nodes[1].call("GET", "/2000000000/highscorelist?limit=5")[0] == 200
        assert nodes[2].call("GET", "/ready")[0] == 200
        logs = "".join(node.log for node in nodes)

    bests = read_bests(own_cluster.url("scores"))
    assert [posts.refused for posts in all_posts] == [[], [], []]
    assert [post for posts in all_posts for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert faults_of(own_cluster.url("scores")) == []
    assert "WARNING" not in logs
    assert "ERROR" not in logs


def test_settings_of_a_transaction_are_not_left_for_the_next_client(
    pooled_url: str, own_cluster: Cluster, tmp_path: Path
) -> None:
    with start_nodes(tmp_path, 1, pooled_url, prepare="no") as nodes:
        posts = Posts(nodes[0], 4)
        posts.wait_for(50)
        posts.stop()

        with psycopg.connect(pooled_url, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name')"
            ).fetchall()

    assert [name for (name,) in rows if name not in ("client_encoding", "DateStyle", "TimeZone")] == []


def test_a_restart_of_the_server_behind_it_is_503_and_then_all_goes_on(
    pooled_url: str, own_cluster: Cluster, tmp_path: Path
) -> None:
    with start_nodes(tmp_path, 2, pooled_url, prepare="no") as nodes:
        all_posts = [Posts(node, 2, first_level=number * 10**6) for number, node in enumerate(nodes)]
        for posts in all_posts:
            posts.wait_for(50)
        own_cluster.kill()
        own_cluster.start()
        for posts in all_posts:
            posts.wait_for(len(posts.acknowledged) + 50)
        for posts in all_posts:
            posts.stop()

    bests = read_bests(own_cluster.url("scores"))
    assert {status for posts in all_posts for status in posts.refused} <= {503}
    assert [posts.cut_off for posts in all_posts] == [[], []]
    assert [post for posts in all_posts for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert faults_of(own_cluster.url("scores")) == []
