"""Users as both engines store them: what holds when two ask for the same at once, and after a restart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import pytest

from scoresvc.actions import EraseUser
from scoresvc.config import Config, UserOptions
from scoresvc.errors import Claimed, NameTaken, Refusal
from scoresvc.storage import Store, open_store
from scoresvc.storage import users as module
from tests.conftest import Query

AT_ONCE = 8

T = TypeVar("T")


def try_at_once(ask: Callable[[int], T]) -> list[T | type[Refusal]]:
    def attempt(number: int) -> T | type[Refusal]:
        try:
            return ask(number)
        except Refusal as refusal:
            return type(refusal)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(attempt, range(AT_ONCE)))


def test_of_those_who_claim_a_number_at_once_one_gets_it(store: Store) -> None:
    outcomes = try_at_once(lambda number: store.users.claim(7).result())

    assert outcomes.count(Claimed) == AT_ONCE - 1
    (claimed,) = [each for each in outcomes if not isinstance(each, type)]
    assert store.sessions.log_in(7, claimed.secret).result().user_id == 7


@pytest.fixture
def unique(settings: Config) -> Config:
    return replace(settings, users=UserOptions(unique_names=True))


def test_of_those_who_take_a_name_at_once_one_gets_it(unique: Config, query: Query) -> None:
    with closing(open_store(unique)) as store:
        outcomes = try_at_once(lambda number: store.users.rename(number, "Ann").result())

    assert outcomes.count(NameTaken) == AT_ONCE - 1
    assert query("SELECT count(*) FROM users WHERE name = 'Ann'") == [(1,)]


def test_of_new_users_who_take_a_name_at_once_one_gets_it(unique: Config, query: Query) -> None:
    with closing(open_store(unique)) as store:
        outcomes = try_at_once(lambda number: store.sessions.create_user("Ann").result())

    assert outcomes.count(NameTaken) == AT_ONCE - 1
    assert query("SELECT count(*) FROM users") == query("SELECT count(*) FROM sessions") == [(1,)]


def test_a_text_that_comes_several_times_at_once_gets_one_number(store: Store, query: Query) -> None:
    outcomes = try_at_once(lambda number: store.sessions.log_in_for_server(None, "steam:1", None).result().user_id)

    assert len(set(outcomes)) == 1
    assert query("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize(
    "name_a_user",
    [
        lambda store: store.scores.post(2, 7, 1500).result(),
        lambda store: store.sessions.log_in(7).result(),
        lambda store: store.users.claim(7).result(),
        lambda store: store.users.rename(7, "Ann").result(),
    ],
)
def test_a_new_user_is_nobody_who_was_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, name_a_user: Callable[[Store], object]
) -> None:
    name_a_user(store)
    numbers = iter([7, 7, 8])
    monkeypatch.setattr(module.secrets, "randbelow", lambda below: next(numbers, 9))

    assert store.sessions.create_user(None).result().user_id == 8


def test_a_secret_and_a_name_outlive_a_restart(settings: Config) -> None:
    with closing(open_store(settings)) as store:
        user = store.sessions.create_user("Ann").result()

    with closing(open_store(settings)) as store:
        assert store.users.name_of(user.user_id).name == "Ann"
        assert store.sessions.log_in(user.user_id, user.secret).result().user_id == user.user_id


def test_a_user_without_name_secret_and_text_leaves_no_row(store: Store, query: Query) -> None:
    store.users.rename(7, "Ann").result()
    store.users.rename(7, None).result()

    assert query("SELECT * FROM users") == []


def test_nothing_is_left_of_an_erased_user(store: Store, query: Query) -> None:
    store.users.rename(7, "Ann").result()
    store.users.claim(7).result()

    assert store.admin.perform("ann", EraseUser(7)).result()

    assert query("SELECT * FROM users") == []
    assert store.users.name_of(7).name is None
    assert store.sessions.log_in(7).result().user_id == 7


def test_a_name_and_a_claim_keep_each_other(store: Store) -> None:
    store.users.rename(7, "Ann").result()
    secret = store.users.claim(7).result().secret
    store.users.rename(7, "Bob").result()

    assert store.users.name_of(7).name == "Bob"
    assert store.sessions.log_in(7, secret).result().user_id == 7
