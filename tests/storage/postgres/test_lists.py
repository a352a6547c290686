"""Lists in an event loop whose connection with PostgreSQL ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from scoresvc.storage import Store
from scoresvc.storage.write import Write
from tests.postgres import USER, Cluster
from tests.proxy import Proxy
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres


async def answer(write: Write[str] | str) -> tuple[str, bool]:
    """Returns a list, and whether the loop itself read it."""
    assert isinstance(write, Write)
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    threads: list[int] = []

    def note(write: Write[str]) -> None:
        threads.append(threading.get_ident())
        loop.call_soon_threadsafe(done.set)

    write.add_done_callback(note)
    await asyncio.wait_for(done.wait(), 10)
    return write.result(), threads == [threading.get_ident()]


async def ask_while_the_connection_ends(store: Store, cluster: Cluster) -> list[str]:
    """Asks for a list in the very turn of the loop in which it finds out that its connection has ended."""
    assert store.for_loop
    boards, asked = store.for_loop.boards, []
    while not (await answer(boards.high_scores(2)))[1]:
        await asyncio.sleep(0.01)  # until the loop has a connection
    with cluster.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'scores'")
    asyncio.get_running_loop().call_soon(lambda: asked.append(boards.high_scores(2)))
    while not asked:
        await asyncio.sleep(0)
    return [(await answer(each))[0] for each in (asked[0], boards.high_scores(2), boards.high_scores(2))]


async def ask_until_the_loop_reads(store: Store) -> list[dict[str, object]]:
    """Returns what went wrong in the loop meanwhile."""
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    assert store.for_loop
    while not (await answer(store.for_loop.boards.high_scores(2)))[1]:
        await asyncio.sleep(0.01)
    return faults


def test_a_connection_that_ends_before_the_loop_has_it_is_replaced(own_cluster: Cluster, open_node: OpenNode) -> None:
    with Proxy(own_cluster.port) as proxy:
        store = open_node(f"postgresql://{USER}@127.0.0.1:{proxy.port}/scores")
        store.scores.post(2, 7, 5).result()
        proxy.cut_before_request(b"scoresvc_lists")

        faults = asyncio.run(ask_until_the_loop_reads(store))

        assert proxy.cuts == 1
        assert faults == []


def test_lists_asked_for_while_the_connection_ends_and_afterwards_are_answered(
    own_cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()

    assert asyncio.run(ask_while_the_connection_ends(store, own_cluster)) == ["7=5"] * 3
