"""What nodes do with standbys: read from them, wait for them, never take them for a primary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoresvc.errors import StartError, Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage import Store
from scoresvc.storage.postgres.connections import CONNECT_TIMEOUT
from scoresvc.storage.postgres.hosts import SILENT_FOR
from scoresvc.storage.postgres.watch import LEND_MAX
from tests.nodes import faults_of, make_synchronous, read_bests, url_of
from tests.postgres import USER, Cluster
from tests.proxy import Proxy
from tests.running import Posts
from tests.storage.postgres.conftest import OpenNode, StartNode

pytestmark = pytest.mark.postgres


@pytest.fixture
def standby(own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The synchronous standby of `own_cluster`."""
    standby = Cluster(tmp_path_factory.mktemp("standby") / "data")
    make_synchronous(own_cluster, standby)
    yield standby
    standby.kill()


def test_a_node_that_knows_only_a_standby_serves_lists_and_refuses_posts(
    own_cluster: Cluster, standby: Cluster, node: StartNode
) -> None:
    primary_node = node(own_cluster.url("scores"))
    _, key = primary_node.call("GET", "/7/login")
    primary_node.call("POST", f"/2/score?sessionkey={key}", "5")

    mistaken = node(standby.url("scores"))

    assert mistaken.call("GET", "/2/highscorelist") == (200, "7=5")
    assert mistaken.call("POST", f"/2/score?sessionkey={key}", "6")[0] == 503
    assert mistaken.call("GET", "/7/login")[0] == 503
    assert mistaken.call("GET", "/ready") == (503, "not ready: there is no database that takes writes")
    assert "nothing can be posted until a server takes writes" in mistaken.log
    assert "Traceback" not in mistaken.log


def test_a_standby_without_our_tables_is_refused_at_the_start(standby: Cluster, open_node: OpenNode) -> None:
    with pytest.raises(StartError, match="read-only"):
        open_node(standby.url("scores"))


def test_a_standby_that_does_not_replay_is_not_read(
    own_cluster: Cluster, standby: Cluster, open_node: OpenNode
) -> None:
    store = open_node(url_of([own_cluster, standby]))
    store.scores.post(2, 7, 5).result()
    with standby.connect() as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
    standby.wait_for("SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'")
    store.scores.post(2, 7, 6).result()
    own_cluster.kill()

    with pytest.raises(Unavailable):
        store.boards.bests(7, WISH_ALL)
    with standby.connect() as connection:
        connection.execute("SELECT pg_wal_replay_resume()")
    until = time.monotonic() + 5
    while (bests := read_or_nothing(store, 7)) is None:
        assert time.monotonic() < until

    assert bests == [(2, 6)]


def test_of_two_standbys_the_one_that_has_received_all_is_read(
    own_cluster: Cluster, standby: Cluster, tmp_path_factory: pytest.TempPathFactory, open_node: OpenNode
) -> None:
    late = Cluster(tmp_path_factory.mktemp("late") / "data")
    late.copy(own_cluster)
    late.start()
    try:
        store = open_node(url_of([own_cluster, late, standby]))
        store.scores.post(2, 7, 5).result()
        with late.connect() as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")
        late.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
        store.scores.post(2, 7, 6).result()
        own_cluster.kill()

        until = time.monotonic() + 5
        while (bests := read_or_nothing(store, 7)) is None:
            assert time.monotonic() < until
    finally:
        late.kill()

    assert bests == [(2, 6)]


def test_while_the_primary_is_silent_its_standby_is_read_at_once(
    own_cluster: Cluster, standby: Cluster, open_node: OpenNode
) -> None:
    with Proxy(own_cluster.port) as proxy:
        addresses = f"127.0.0.1:{proxy.port},127.0.0.1:{standby.port}"
        store = open_node(f"postgresql://{USER}@{addresses}/scores")
        store.scores.post(2, 7, 5).result()
        proxy.be_silent()
        silent_at = time.monotonic()
        while read_or_nothing(store, 7) is None:
            assert time.monotonic() < silent_at + LEND_MAX + 2 * CONNECT_TIMEOUT
        with ThreadPoolExecutor(4) as pool:
            took = sorted(each for some in pool.map(read_for, [store] * 4, [8.0] * 4) for each in some)
        with pytest.raises(Unavailable):
            store.scores.post(2, 7, 6).result()
        proxy.speak()
        until = time.monotonic() + SILENT_FOR + CONNECT_TIMEOUT
        while store.find_fault():
            assert time.monotonic() < until
            time.sleep(0.05)

    assert took[len(took) * 9 // 10] < 0.5
    assert took[-1] < 2 * CONNECT_TIMEOUT


def read_for(store: Store, seconds: float) -> list[float]:
    """Returns the seconds that each read took, one after the other."""
    took = []
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        assert store.boards.bests(7, WISH_ALL) == [(2, 5)]
        took.append(time.monotonic() - began)
    return took


def read_or_nothing(store: Store, user: int) -> list[tuple[int, int]] | None:
    try:
        return store.boards.bests(user, WISH_ALL)
    except Unavailable:
        time.sleep(0.05)
        return None


def test_a_database_that_is_read_only_by_default_serves_lists_and_refuses_posts(
    own_cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()
    with own_cluster.connect() as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
    own_cluster.wait_for("SELECT 1 WHERE current_setting('default_transaction_read_only') = 'on'")

    with pytest.raises(Unavailable):
        store.scores.post(2, 7, 6).result()
    assert store.find_fault() == "there is no database that takes writes"
    assert store.boards.bests(7, WISH_ALL) == [(2, 5)]

    with own_cluster.connect() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
    own_cluster.wait_for("SELECT 1 WHERE current_setting('default_transaction_read_only') = 'off'")
    store.scores.post(2, 7, 6).result()
    assert store.find_fault() == ""


def test_a_commit_whose_wait_for_the_standby_is_cancelled_is_503(
    own_cluster: Cluster, standby: Cluster, open_node: OpenNode, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL answers it with success and a warning."""
    store = open_node(own_cluster.url("scores"))
    standby.stop()

    post = store.scores.post(2, 7, 5)
    own_cluster.wait_for("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    with own_cluster.connect() as connection:
        connection.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    with pytest.raises(Unavailable):
        post.result()

    assert "canceling wait for synchronous replication" in caplog.text
    standby.start()
    store.scores.post(2, 7, 5).result()
    assert read_bests(own_cluster.url("scores")) == {(2, 7): 5}


def test_without_its_standby_nothing_is_acknowledged_lists_go_on_and_sessions_do_not_pile_up(
    own_cluster: Cluster, standby: Cluster, node: StartNode
) -> None:
    server = node(own_cluster.url("scores"))
    posts = Posts(server)
    posts.wait_for(50)

    standby.stop()
    own_cluster.wait_for("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    stopped_at, before = time.monotonic(), len(posts.acknowledged)
    while time.monotonic() < stopped_at + 16:  # longer than it takes to cut two commits
        assert server.call("GET", "/1/highscorelist") == (200, "7=1")
        time.sleep(0.2)
    with own_cluster.connect() as connection:
        ((waiting,),) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        ).fetchall()
    ready = server.call("GET", "/ready")
    acknowledged = len(posts.acknowledged) - before
    standby.start()
    posts.wait_for(before + 50)
    posts.stop()

    assert acknowledged == 0
    assert waiting == 1
    assert ready[0] == 503
    assert set(posts.refused) == {503}
    assert posts.cut_off == []
    bests = read_bests(own_cluster.url("scores"))
    assert [post for post in posts.acknowledged if (post[0], 7) not in bests] == []
    assert faults_of(own_cluster.url("scores")) == []


def test_a_new_primary_without_a_synchronous_standby_is_warned_of_once(
    own_cluster: Cluster, standby: Cluster, open_node: OpenNode, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_node(url_of([own_cluster, standby]))
    store.scores.post(2, 7, 5).result()
    own_cluster.kill()
    standby.promote()

    store.boards.bests(7, WISH_ALL)
    until = time.monotonic() + 5
    while store.find_fault():
        assert time.monotonic() < until
    for score in range(6, 12):
        store.scores.post(2, 7, score).result()

    assert caplog.text.count("no synchronous standby any more") == 1
