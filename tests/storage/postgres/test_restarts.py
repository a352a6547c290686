"""What nodes do when PostgreSQL restarts, or ends their sessions."""

from __future__ import annotations

import time

import pytest

from scoresvc.errors import Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage import Store
from tests.nodes import faults_of, read_bests
from tests.postgres import Cluster
from tests.running import Posts
from tests.storage.postgres.conftest import OpenNode, StartNode
from tests.timing import Clients, longest

pytestmark = pytest.mark.postgres


def assert_nothing_lost(url: str, posts: Posts) -> None:
    bests = read_bests(url)
    assert [post for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert faults_of(url) == []


@pytest.mark.parametrize("is_killed", [False, True])
def test_after_a_restart_while_nobody_plays_the_next_calls_succeed(
    own_cluster: Cluster, node: StartNode, is_killed: bool
) -> None:
    server = node(own_cluster.url("scores"))
    _, key = server.call("GET", "/7/login")
    assert server.call("POST", f"/2/score?sessionkey={key}", "5") == (200, "")
    assert server.call("GET", "/2/highscorelist") == (200, "7=5")

    own_cluster.kill() if is_killed else own_cluster.stop()
    own_cluster.start()

    assert server.call("POST", f"/2/score?sessionkey={key}", "6") == (200, "")
    assert server.call("GET", "/2/highscorelist") == (200, "7=6")
    assert server.call("GET", "/7/scores")[0] == 200
    assert server.call("GET", "/ready")[0] == 200


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_restart_under_load_refuses_posts_for_a_while_and_nobody_restarts_the_node(
    own_cluster: Cluster, node: StartNode, is_killed: bool
) -> None:
    server = node(own_cluster.url("scores"))
    _, key = server.call("GET", "/8/login")
    posts = Posts(server)
    posts.wait_for(100)

    own_cluster.kill() if is_killed else own_cluster.stop()
    refused = server.call("POST", f"/2/score?sessionkey={key}", "5")
    own_cluster.start()
    posts.wait_for(len(posts.acknowledged) + 100)
    posts.stop()

    assert refused[0] == 503
    assert set(posts.refused) == {503}
    assert posts.cut_off == []
    assert_nothing_lost(own_cluster.url("scores"), posts)


def test_sessions_that_are_terminated_under_load_are_replaced(own_cluster: Cluster, node: StartNode) -> None:
    url = own_cluster.url("scores")
    server = node(url)
    posts = Posts(server)
    for _ in range(5):
        posts.wait_for(len(posts.acknowledged) + 50)
        with own_cluster.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'scores'")
    posts.wait_for(len(posts.acknowledged) + 50)
    posts.stop()

    assert set(posts.refused) <= {503}
    assert posts.cut_off == []
    assert_nothing_lost(url, posts)


def test_no_list_hangs_when_sessions_are_terminated_under_load(own_cluster: Cluster, node: StartNode) -> None:
    server = node(own_cluster.url("scores"))
    with Clients(server, 6, lambda number: ("GET", f"/{number % 5}/highscorelist", None)) as lists:
        for _ in range(40):
            lists.wait_for(200, since=time.monotonic())
            with own_cluster.connect() as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'scores'")
        lists.wait_for(200, since=time.monotonic() + 1)

    assert lists.cut_off == []
    assert {answer.status for answer in lists.answers} <= {200, 503}
    assert longest(lists.answers) < 5


def test_while_the_server_starts_posts_and_lists_are_refused_and_then_go_on(
    own_cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()
    own_cluster.stop()
    (own_cluster.folder / "recovery.signal").touch()  # it waits for an archive, and lets nobody in meanwhile
    own_cluster.launch("hot_standby=off", "restore_command=sleep 1; false", "recovery_target_action=promote")
    own_cluster.wait_until_refused("the database system is starting up")

    with pytest.raises(Unavailable):
        store.scores.post(2, 7, 6).result()
    with pytest.raises(Unavailable):
        store.boards.bests(7, WISH_ALL)
    assert store.find_fault() == "there is no database that takes writes"

    own_cluster.wait_until_accepting()
    wait_for_post(store, 6)
    assert store.boards.bests(7, WISH_ALL) == [(2, 6)]


def wait_for_post(store: Store, score: int) -> None:
    until = time.monotonic() + 5
    while True:
        try:
            store.scores.post(2, 7, score).result()
        except Unavailable:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return
