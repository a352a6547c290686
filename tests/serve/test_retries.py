"""Posts with idempotency keys that are sent until an answer comes: the sums are exact, whatever is lost in between."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy import Proxy
from tests.running import START_WAIT, Server

LOST = 0.3  # of all that is sent

levels = count()


class Sent(NamedTuple):
    score: int
    key: str
    repeats: int  # how often it is sent again after it was answered


sent_posts = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 2)), min_size=1, max_size=8)


class RetryingClient:
    """A player who sends each post until it is answered, through `port`, and some again."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}"}
        self.replays = 0

    def post(self, level: int, sent: Sent) -> None:
        for _ in range(1 + sent.repeats):
            self._post_until_answered(level, sent)

    def _post_until_answered(self, level: int, sent: Sent) -> None:
        until = time.monotonic() + START_WAIT
        while not self._try(level, sent):
            assert time.monotonic() < until
            time.sleep(0.002)

    def _try(self, level: int, sent: Sent) -> bool:
        headers = {**self._headers, "Idempotency-Key": sent.key}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            try:
                connection.request("POST", f"/{level}/score", str(sent.score), headers)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                return False
        self.replays += response.headers["Idempotent-Replayed"] == "true"
        return response.status == 200


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"], scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "config.ini").write_text("[levels]\nkeep = sum\n")
    with Server(folder, processes=request.param) as server:
        yield server


def login(server: Server, user: int) -> str:
    status, key = server.call("GET", f"/{user}/login")
    assert status == 200
    return key


@settings(max_examples=12, deadline=None)
@given(posts=sent_posts, seed=st.integers(0, 2**32))
def test_sums_are_exact_through_a_proxy_that_loses_answers(
    server: Server, posts: Sequence[tuple[int, int]], seed: int
) -> None:
    level = next(levels)
    players = {
        user: [Sent(score, f"{level}.{n}", again) for n, (score, again) in enumerate(posts)] for user in (7, 8, 9)
    }

    with Proxy(server.port) as proxy, ThreadPoolExecutor(len(players)) as pool:
        proxy.lose(LOST, seed)
        clients = {user: RetryingClient(proxy.port, login(server, user)) for user in players}
        posting = [
            pool.submit(lambda user=user, sent=sent: [clients[user].post(level, each) for each in sent])
            for user, sent in players.items()
        ]
        for each in posting:
            each.result()

    total = sum(score for score, _ in posts)
    listed = server.call("GET", f"/{level}/highscorelist")[1]
    assert sorted(listed.split(",")) == [f"{user}={total}" for user in (7, 8, 9)]


def test_equal_requests_at_once_count_once(server: Server) -> None:
    level, key = next(levels), login(server, 7)
    clients = [RetryingClient(server.port, key) for _ in range(8)]
    together = threading.Barrier(len(clients))

    def post(client: RetryingClient) -> None:
        together.wait()
        client.post(level, Sent(10, f"{level}.at-once", 0))

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(post, clients))

    assert server.call("GET", f"/{level}/highscorelist") == (200, "7=10")
    assert sum(client.replays for client in clients) == len(clients) - 1


@pytest.mark.parametrize("processes", [1, 2])
def test_sums_are_exact_over_kills_of_the_service(tmp_path: Path, processes: int) -> None:
    (tmp_path / "config.ini").write_text("[levels]\nkeep = sum\n")
    kills = 3
    sent = [Sent(score, f"post-{score}", 0) for score in range(400)]
    with ThreadPoolExecutor(4) as pool:
        with Server(tmp_path, processes=processes) as server:
            port, key = server.port, login(server, 7)
            clients = [RetryingClient(port, key) for _ in range(4)]
            posting = [
                pool.submit(lambda each=each, part=part: [each.post(1, post) for post in part])
                for each, part in zip(clients, (sent[start::4] for start in range(4)), strict=True)
            ]
            time.sleep(random.uniform(0.05, 0.2))
            server.kill()
        for kill in range(kills):
            with Server(tmp_path, "--port", str(port), processes=processes) as server:
                if kill < kills - 1:
                    time.sleep(random.uniform(0.05, 0.2))
                    server.kill()
                    continue
                for each in posting:
                    each.result(START_WAIT)
                assert server.call("GET", "/1/highscorelist") == (200, f"7={sum(post.score for post in sent)}")
