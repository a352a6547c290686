"""Lists in an event loop whose connection with PostgreSQL ends."""

from __future__ import annotations

import asyncio

import pytest

from scoresvc.storage import Store
from scoresvc.storage.write import Write
from tests.postgres import Cluster
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres

SESSIONS_WITH_LISTS = "SELECT 1 FROM pg_stat_activity WHERE datname = 'scores' AND query LIKE '%string_agg%'"


async def answer(write: Write[str] | str) -> str:
    assert isinstance(write, Write)
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    write.add_done_callback(lambda write: loop.call_soon_threadsafe(done.set))
    await asyncio.wait_for(done.wait(), 10)
    return write.result()


async def ask_while_the_connection_ends(store: Store, cluster: Cluster) -> list[str]:
    """Asks for a list in the very turn of the loop in which it finds out that its connection has ended."""
    assert store.for_loop
    boards, asked = store.for_loop.boards, []
    await answer(boards.high_scores(2))
    cluster.wait_for(f"{SESSIONS_WITH_LISTS} OFFSET 1")  # that of a thread, and that of the loop
    await answer(boards.high_scores(2))
    with cluster.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'scores'")
    asyncio.get_running_loop().call_soon(lambda: asked.append(boards.high_scores(2)))
    while not asked:
        await asyncio.sleep(0)
    return [await answer(asked[0]), await answer(boards.high_scores(2)), await answer(boards.high_scores(2))]


def test_lists_asked_for_while_the_connection_ends_and_afterwards_are_answered(
    own_cluster: Cluster, open_node: OpenNode
) -> None:
    store = open_node(own_cluster.url("scores"))
    store.scores.post(2, 7, 5).result()

    assert asyncio.run(ask_while_the_connection_ends(store, own_cluster)) == ["7=5"] * 3
