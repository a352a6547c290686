from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.rate_limits import Rate, RateLimiter
from tests.conftest import Clock


def test_as_many_as_the_count_may_come_at_once(clock: Clock) -> None:
    limiter = RateLimiter(Rate(20, 60), clock)

    assert [limiter.take("a") for _ in range(20)] == [0.0] * 20
    assert limiter.take("a") == pytest.approx(3)


def test_each_key_is_counted_alone(clock: Clock) -> None:
    limiter = RateLimiter(Rate(1, 60), clock)
    limiter.take("a")

    assert limiter.take("a") > 0
    assert limiter.take("b") == 0


def test_after_the_wait_that_is_said_and_not_before_the_next_one_may_come(clock: Clock) -> None:
    limiter = RateLimiter(Rate(3, 10), clock)
    while not (wait := limiter.take("a")):
        pass

    clock.now += wait - 0.01
    assert limiter.take("a") > 0
    clock.now += 0.02
    assert limiter.take("a") == 0


def test_what_is_refused_does_not_count(clock: Clock) -> None:
    limiter = RateLimiter(Rate(1, 60), clock)
    limiter.take("a")

    for _ in range(100):
        limiter.take("a")

    clock.now += 60
    assert limiter.take("a") == 0


def test_no_more_keys_are_known_than_there_may_be_buckets(clock: Clock) -> None:
    limiter = RateLimiter(Rate(5, 60), clock, buckets_max=2000)

    for number in range(10_000):
        limiter.take(number)

    assert len(limiter._until) <= 2000
    assert [limiter.take(9_999) > 0 for _ in range(5)] == [False] * 4 + [True]


def test_keys_whose_time_has_passed_are_dropped_first(clock: Clock) -> None:
    limiter = RateLimiter(Rate(1, 60), clock, buckets_max=100)
    for number in range(99):
        limiter.take(number)
    clock.now += 61
    limiter.take("a")

    for number in range(1000, 1050):
        limiter.take(number)

    assert limiter.take("a") > 0


@given(
    count=st.integers(1, 30),
    seconds=st.integers(1, 100),
    pauses=st.lists(st.floats(0, 20), max_size=200),
)
def test_in_no_window_come_more_than_the_count_twice(count: int, seconds: int, pauses: list[float]) -> None:
    """At most the burst, and what the pace lets through meanwhile."""
    clock = Clock()
    limiter = RateLimiter(Rate(count, seconds), clock)
    accepted = []
    for pause in pauses:
        clock.now += pause
        if limiter.take("a") == 0:
            accepted.append(clock.now)

    for first, start in enumerate(accepted):
        within = [each for each in accepted[first:] if each < start + seconds]
        assert len(within) <= 2 * count
