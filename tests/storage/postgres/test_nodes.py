"""Several nodes on one database."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scoresvc.config import Config, SessionOptions, UserOptions
from scoresvc.errors import NameTaken
from scoresvc.levels import LevelOptions
from scoresvc.scores import PostDetails, Replay
from tests.conftest import high_scores, user_of
from tests.drills.freshness import read_own_posts
from tests.nodes import faults_of, start_node, start_nodes
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres

AHEAD = 1800.0  # seconds

# A node whose clocks run half an hour ahead.
AHEAD_PROGRAM = f"""
import sys, time
from scoresvc import cli
now, monotonic = time.time, time.monotonic
time.time = lambda: now() + {AHEAD}
time.monotonic = lambda: monotonic() + {AHEAD}
sys.exit(cli.main())
"""
SERVE_AHEAD = (sys.executable, "-c", AHEAD_PROGRAM, "serve", "--port", "0")


def test_what_one_node_has_acknowledged_another_one_lists_at_once(url: str, tmp_path: Path) -> None:
    with start_nodes(tmp_path, 3, url) as nodes:
        outcome = read_own_posts(nodes, 500)

    assert outcome.stale == 0, outcome
    assert outcome.posts == 500
    assert outcome.refused == 0
    assert faults_of(url) == []


def test_a_session_is_good_on_every_node_at_once(url: str, open_node: OpenNode) -> None:
    stores = [open_node(url) for _ in range(3)]

    for user in range(50):
        key = stores[user % 3].sessions.log_in(user).result().key

        assert [user_of(store, key) for store in stores] == [user] * 3


def test_a_login_on_one_node_ends_the_session_of_another_one(url: str, open_node: OpenNode) -> None:
    settings = Config(sessions=SessionOptions(one_per_user=True))
    stores = [open_node(url, settings) for _ in range(2)]
    first = stores[0].sessions.log_in(7).result().key
    assert [user_of(store, first) for store in stores] == [7, 7]

    second = stores[1].sessions.log_in(7).result().key

    assert [user_of(store, first) for store in stores] == [None, None]
    assert [user_of(store, second) for store in stores] == [7, 7]


def test_of_logins_at_once_over_two_nodes_one_session_is_left(url: str, open_node: OpenNode) -> None:
    settings = Config(sessions=SessionOptions(one_per_user=True))
    stores = [open_node(url, settings) for _ in range(2)]
    keys: list[str] = []

    def log_in(number: int) -> None:
        for _ in range(25):
            keys.append(stores[number % 2].sessions.log_in(7).result().key)

    threads = [threading.Thread(target=log_in, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    good = [key for key in keys if user_of(stores[0], key) == 7]
    assert len(keys) == 100
    assert len(good) == 1
    assert user_of(stores[1], good[0]) == 7


def test_sessions_and_scores_go_by_the_clock_of_the_database_whatever_the_nodes_have(url: str, tmp_path: Path) -> None:
    """One node is half an hour ahead, which is three times as long as a session lasts."""
    with (
        start_node(tmp_path / "right", url, lifetime=600) as right,
        start_node(tmp_path / "ahead", url, SERVE_AHEAD, lifetime=600) as ahead,
    ):
        _, right_key = right.call("GET", "/7/login")
        _, ahead_key = ahead.call("GET", "/8/login")

        assert ahead.call("POST", f"/2/score?sessionkey={right_key}", "5") == (200, "")
        assert right.call("POST", f"/2/score?sessionkey={ahead_key}", "5") == (200, "")
        assert right.call("GET", "/2/highscorelist") == (200, "7=5,8=5")  # 7 was first
        assert ahead.call("GET", "/2/highscorelist") == (200, "7=5,8=5")


def test_a_post_that_is_sent_again_to_another_node_counts_once(url: str, open_node: OpenNode) -> None:
    settings = Config(levels=LevelOptions(keep="sum"))
    stores = [open_node(url, settings) for _ in range(3)]

    def post(number: int) -> bool:
        details = PostDetails(key=f"post-{number // 6}")
        return isinstance(stores[number % 3].scores.post_and_rank(2, 7, 10, details).result(), Replay)

    with ThreadPoolExecutor(12) as pool:
        replays = list(pool.map(post, range(120)))

    assert replays.count(False) == 20
    assert high_scores(stores[0], 2) == "7=200"


def test_of_users_who_take_a_name_on_two_nodes_at_once_one_gets_it(url: str, open_node: OpenNode) -> None:
    settings = Config(users=UserOptions(unique_names=True))
    stores = [open_node(url, settings) for _ in range(2)]

    def rename(user: int) -> bool:
        try:
            stores[user % 2].users.rename(user, "Ann").result()
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(rename, range(40))) == 1
