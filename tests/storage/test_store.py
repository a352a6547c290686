from __future__ import annotations

import random
import string
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scoresvc import config
from scoresvc.config import Config
from scoresvc.scores import ActiveSession
from scoresvc.storage import Store, open_store
from scoresvc.storage.purging import PURGE_SLICE, Purger
from tests.conftest import Clock, NewDatabase, Query, high_scores


def test_a_key_is_letters_and_digits_and_never_stored(store: Store, database_path: Path) -> None:
    keys = [store.sessions.log_in(1).result().key for _ in range(50)]

    assert set("".join(keys)) <= set(string.ascii_uppercase + string.digits)
    store.close()
    written = b"".join(path.read_bytes() for path in database_path.parent.iterdir())
    assert not any(key.encode() in written for key in keys)


def test_a_session_is_found_by_its_key_until_it_expires(store: Store, clock: Clock) -> None:
    key = store.sessions.log_in(7).result().key

    clock.now += 60
    assert store.sessions.find(key) == ActiveSession(7, 60)
    assert store.sessions.find("A" * 32) is None
    clock.now += 540
    assert store.sessions.find(key) is None


def test_with_one_session_per_user_a_login_ends_the_earlier_ones(settings: Config) -> None:
    settings = replace(settings, sessions=config.SessionOptions(one_per_user=True))
    with closing(open_store(settings)) as store:
        old, other, new = (store.sessions.log_in(user).result().key for user in (7, 8, 7))

        found = [store.sessions.find(key) for key in (old, other, new)]
        assert [session and session.user_id for session in found] == [None, 8, 7]


def test_a_login_beyond_the_sessions_of_a_user_ends_the_oldest(settings: Config, clock: Clock) -> None:
    settings = replace(settings, sessions=config.SessionOptions(per_user=3))
    with closing(open_store(settings, clock)) as store:
        other = store.sessions.log_in(8).result().key
        keys = []
        for _ in range(5):
            keys.append(store.sessions.log_in(7).result().key)
            assert store.sessions.find(keys[-1])  # from now on cached
            clock.now += 1

        assert [store.sessions.find(key) is not None for key in keys] == [False, False, True, True, True]
        assert store.sessions.find(other)


def test_logins_that_come_together_leave_no_more_sessions_than_a_user_may_have(settings: Config, query: Query) -> None:
    settings = replace(settings, sessions=config.SessionOptions(per_user=3))
    with closing(open_store(settings)) as store:
        for write in [store.sessions.log_in(user) for user in (7, 7, 8, 7, 7, 7)]:
            write.result()

    assert query("SELECT user_id, count(*) FROM sessions GROUP BY user_id ORDER BY user_id") == [(7, 3), (8, 1)]


def test_expired_sessions_are_purged_and_valid_ones_kept(store: Store, clock: Clock, query: Query) -> None:
    for user in range(PURGE_SLICE + 50):
        store.sessions.log_in(user).result()
    clock.now += 300
    key = store.sessions.log_in(7).result().key
    clock.now += 300

    Purger(store.sessions.delete_expired).purge()

    assert query("SELECT user_id FROM sessions") == [(7,)]
    assert store.sessions.find(key) == ActiveSession(7, 300)


def test_sessions_and_scores_are_there_after_a_restart(store: Store, settings: Config, clock: Clock) -> None:
    key = store.sessions.log_in(7).result().key
    store.scores.post(2, 7, 1500).result()
    store.close()

    with closing(open_store(settings, clock)) as restarted:
        assert restarted.sessions.find(key) == ActiveSession(7, 0)
        assert high_scores(restarted, 2) == "7=1500"


def test_a_score_that_is_sent_twice_shows_as_soon_as_either_is_acknowledged(store: Store) -> None:
    assert high_scores(store, 2) == ""

    store.scores.post(2, 7, 1500)
    store.scores.post(2, 7, 1500).result()

    assert high_scores(store, 2) == "7=1500"


posts = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 12)), max_size=120)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=posts, seed=st.integers(0, 1000))
def test_the_list_equals_a_sorted_dict(new_database: NewDatabase, posts: list[tuple[int, int, int]], seed: int) -> None:
    """Whatever is posted, with a clock that jumps about and a restart in the middle."""
    chance = random.Random(seed)
    restart_at = chance.randrange(120)
    best: dict[tuple[int, int], tuple[int, int]] = {}

    with new_database() as database:
        settings = Config(database=database)
        store = open_store(settings, clock=lambda: chance.uniform(0, 10))
        for turn, (level, user, score) in enumerate(posts):
            if turn == restart_at:
                store.close()
                store = open_store(settings, clock=lambda: chance.uniform(0, 10))
            store.scores.post(level, user, score).result()
            if score > best.get((level, user), (-1, 0))[0]:
                best[level, user] = (score, turn)

        for level in range(3):
            ranked = sorted((-score, turn, user) for (of, user), (score, turn) in best.items() if of == level)
            assert high_scores(store, level) == ",".join(f"{user}={-minus}" for minus, _, user in ranked[:15])
        store.close()
