"""Posts with an idempotency key as both engines store them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoresvc.actions import BanUser, EndBan, EraseUser, SetLevel
from scoresvc.errors import Banned, KeyReused
from scoresvc.scores import PostDetails, PostResult, Replay
from scoresvc.storage import Store
from tests.conftest import Query, high_scores


@pytest.fixture(autouse=True)
def _summing(store: Store) -> None:
    """On level 2 the sum counts."""
    store.admin.perform("test", SetLevel(2, {"keep": "sum"})).result()


def with_key(key: str) -> PostDetails:
    return PostDetails(key=key)


def test_equal_posts_at_once_count_once(store: Store) -> None:
    def post(number: int) -> PostResult | Replay:
        return store.scores.post_and_rank(2, 7, 10, with_key("k")).result()

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(post, range(16)))

    (first,) = [result for result in results if not isinstance(result, Replay)]
    assert [result.result for result in results if isinstance(result, Replay)] == [first] * 15
    assert high_scores(store, 2) == "7=10"


def test_equal_posts_that_gather_count_once(store: Store) -> None:
    writes = [store.scores.post_and_rank(2, 7, 10, with_key("k")) for _ in range(8)]

    assert [isinstance(write.result(), Replay) for write in writes] == [False] + [True] * 7
    assert high_scores(store, 2) == "7=10"


def test_of_different_posts_with_one_key_that_gather_one_counts(store: Store) -> None:
    writes = [store.scores.post(2, 7, score, with_key("k")) for score in (10, 11)]

    writes[0].result()
    with pytest.raises(KeyReused):
        writes[1].result()
    assert high_scores(store, 2) == "7=10"


def test_posts_of_all_kinds_that_gather_count_as_often_as_they_should(store: Store) -> None:
    chance = random.Random(5)
    sent: dict[tuple[int, str], int] = {}
    expected = dict.fromkeys(range(4), 0)
    writes = []
    for number in range(400):
        user, score = chance.randrange(4), chance.randrange(100)
        if number % 2:
            writes.append(store.scores.post(2, user, score))
            expected[user] += score
            continue
        key = f"k{chance.randrange(60)}"
        if (user, key) not in sent:
            expected[user] += score
        writes.append(store.scores.post(2, user, sent.setdefault((user, key), score), with_key(key)))
    for write in writes:
        write.result()

    listed = dict(entry.split("=") for entry in high_scores(store, 2).split(","))
    assert {int(user): int(score) for user, score in listed.items()} == expected


def test_a_banned_user_keeps_no_key(store: Store, query: Query) -> None:
    store.admin.perform("ann", BanUser(7)).result()
    with pytest.raises(Banned):
        store.scores.post(2, 7, 10, with_key("k")).result()
    store.admin.perform("ann", EndBan(7)).result()

    assert query("SELECT * FROM keyed_posts") == []
    assert not isinstance(store.scores.post(2, 7, 10, with_key("k")).result(), Replay)
    assert high_scores(store, 2) == "7=10"


def test_a_post_that_comes_again_changes_neither_name_nor_text(store: Store, query: Query) -> None:
    store.scores.post(2, 7, 10, PostDetails("Ann", "first", "k")).result()
    replay = store.scores.post(2, 7, 10, PostDetails("Bob", "second", "k")).result()

    assert isinstance(replay, Replay)
    assert store.users.name_of(7).name == "Ann"
    assert query("SELECT meta FROM submissions") == [("first",)]


def test_nothing_is_left_of_the_keys_of_an_erased_user(store: Store, query: Query) -> None:
    store.scores.post(2, 7, 10, with_key("k")).result()

    store.admin.perform("ann", EraseUser(7)).result()

    assert query("SELECT * FROM keyed_posts") == []
