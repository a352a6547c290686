"""What nodes do when the network between them and PostgreSQL fails."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from scoresvc.errors import Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage.postgres.watch import LEND_MAX
from tests.conftest import user_of
from tests.nodes import faults_of, read_bests
from tests.postgres import USER, Cluster
from tests.proxy import Proxy
from tests.storage.postgres.conftest import OpenNode, StartNode
from tests.timing import Clients, longest

pytestmark = pytest.mark.postgres

CONNECT_TIMEOUT = 2.0  # seconds


@pytest.fixture
def proxy(own_cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(own_cluster.port) as proxy:
        yield proxy


def through(proxy: Proxy) -> str:
    return f"postgresql://{USER}@127.0.0.1:{proxy.port}/scores"


def test_a_connection_cut_before_the_commit_is_503_and_nothing_is_stored(
    own_cluster: Cluster, proxy: Proxy, open_node: OpenNode
) -> None:
    store = open_node(through(proxy), prepare=False)
    proxy.cut_before_request(b"COMMIT")

    with pytest.raises(Unavailable):
        store.scores.post(2, 7, 5).result()
    stored = read_bests(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()

    assert proxy.cuts == 1
    assert stored == {}
    assert read_bests(own_cluster.url("scores")) == {(2, 7): 5}
    assert faults_of(own_cluster.url("scores")) == []


def test_a_connection_cut_when_the_commit_is_answered_is_503_and_the_post_may_be_sent_again(
    own_cluster: Cluster, proxy: Proxy, open_node: OpenNode
) -> None:
    store = open_node(through(proxy), prepare=False)
    proxy.cut_instead_of_answer(b"COMMIT\0")

    with pytest.raises(Unavailable):
        store.scores.post(2, 7, 5).result()
    stored = read_bests(own_cluster.url("scores"))
    outcome = store.scores.post_and_rank(2, 7, 5).result()

    assert proxy.cuts == 1
    assert stored == {(2, 7): 5}  # nobody knew
    assert (outcome.best, outcome.rank, outcome.players) == (5, 1, 1)
    assert faults_of(own_cluster.url("scores")) == []


def test_a_login_whose_commit_is_cut_is_503_and_the_next_one_gives_a_key(proxy: Proxy, open_node: OpenNode) -> None:
    store = open_node(through(proxy), prepare=False)
    proxy.cut_instead_of_answer(b"COMMIT\0")

    with pytest.raises(Unavailable):
        store.sessions.log_in(7).result()
    session = store.sessions.log_in(7).result()

    assert user_of(store, session.key) == 7


def test_a_read_that_is_cut_is_sent_again(proxy: Proxy, open_node: OpenNode) -> None:
    store = open_node(through(proxy), prepare=False)
    store.scores.post(2, 7, 5).result()
    proxy.cut_before_request(b"WITH RECURSIVE level")

    assert store.boards.bests(7, WISH_ALL) == [(2, 5)]
    assert proxy.cuts == 1


def test_nothing_acknowledged_is_lost_while_connections_are_cut_again_and_again(
    own_cluster: Cluster, proxy: Proxy, open_node: OpenNode
) -> None:
    store = open_node(through(proxy))
    acknowledged: list[dict[tuple[int, int], int]] = [{} for _ in range(4)]
    stopping = threading.Event()

    def post(user: int) -> None:
        for number in range(10**6):
            if stopping.is_set():
                return
            with suppress(Unavailable):
                store.scores.post(number % 50, user, number).result()
                acknowledged[user][number % 50, user] = number

    threads = [threading.Thread(target=post, args=(user,)) for user in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        before = sum(map(len, acknowledged)), sum(max(each.values(), default=0) for each in acknowledged)
        wait_until(lambda before=before: sum(max(each.values(), default=0) for each in acknowledged) > before[1] + 20)
        proxy.cut()
    stopping.set()
    for thread in threads:
        thread.join()

    bests = read_bests(own_cluster.url("scores"))
    assert [key for each in acknowledged for key, score in each.items() if bests[key] < score] == []
    assert faults_of(own_cluster.url("scores")) == []


def wait_until(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_server_that_falls_silent_is_503_in_time_and_the_event_loop_goes_on(
    own_cluster: Cluster, proxy: Proxy, node: StartNode
) -> None:
    server = node(through(proxy))
    _, key = server.call("GET", "/7/login")
    server.call("POST", f"/2/score?sessionkey={key}", "5")
    with (
        Clients(server, 4, lambda number: ("POST", f"/{number}/score?sessionkey={key}", "1"), 0.01) as posters,
        Clients(server, 2, lambda number: ("GET", "/2/highscorelist", None), 0.01) as lists,
        Clients(server, 4, lambda number: ("GET", "/7/scores", None), 0.01) as readers,
        Clients(server, 1, lambda number: ("GET", "/health", None), 0.01) as health,
    ):
        for each in (posters, lists, readers, health):
            each.wait_for(200)
        proxy.be_silent()
        silent_at = time.monotonic()
        for each in (posters, lists, readers):
            each.wait_for(503, since=silent_at - 1)
        for each in (posters, lists, readers):
            each.wait_for(503, since=time.monotonic())
        ready = server.call("GET", "/ready")
        proxy.speak()
        spoke_at = time.monotonic()
        again = [each.wait_for(200, since=spoke_at).ended - spoke_at for each in (posters, lists, readers)]

    refused_max = LEND_MAX + 2 * CONNECT_TIMEOUT + 1
    # Whichever it sees first: both are so.
    assert ready[0] == 503
    assert re.fullmatch(
        "not ready: (there is no database that takes writes|a write has been waiting for [0-9]+ s)", ready[1]
    )
    assert {answer.status for each in (posters, lists, readers) for answer in each.answers} == {200, 503}
    assert longest(posters.answers) < refused_max
    assert longest(lists.answers) < refused_max
    assert longest(readers.answers) < refused_max
    assert {answer.status for answer in health.answers} == {200}
    assert longest(health.answers) < 0.5
    assert max(again) < 5
    assert [each.cut_off for each in (posters, lists, readers, health)] == [[]] * 4
