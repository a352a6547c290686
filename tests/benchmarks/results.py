"""What was measured: plain values, with the ratios that follow from them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """A number over the rounds. Formats as `median (min to max)`."""

    min: float
    median: float
    max: float

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.min:{spec}} to {self.max:{spec}})"


def spread(values: Iterable[float]) -> Spread:
    numbers = list(values)
    return Spread(min(numbers), statistics.median(numbers), max(numbers))


def ratios(values: Iterable[float], others: Iterable[float]) -> Spread:
    """Round by round, so that each ratio compares neighbours in time."""
    return spread(value / other for value, other in zip(values, others, strict=True))


class Load(NamedTuple):
    """What one server did under load for one round."""

    rate: float  # successes a second
    p99_ms: float
    longest_ms: float
    refused: int  # answers that were no success


def rates(loads: Iterable[Load]) -> list[float]:
    return [load.rate for load in loads]


class Comparison(NamedTuple):
    """The service beside a bare application on the same server, a load for each round."""

    server: str
    workload: str
    bare: list[Load]
    service: list[Load]

    @property
    def ratio(self) -> Spread:
        """The part of the bare rate that the service reaches."""
        return ratios(rates(self.service), rates(self.bare))


class Growth(NamedTuple):
    """The service with few and with many scores, a load for each round by the number of scores."""

    server: str
    workload: str
    loads: dict[int, list[Load]]

    def cost(self, size: int) -> Spread:
        """Microseconds a request."""
        return spread(1_000_000 / rate for rate in rates(self.loads[size]))

    def ratio(self, size: int) -> Spread:
        """The cost at this size in that at the smallest."""
        return ratios(rates(self.loads[min(self.loads)]), rates(self.loads[size]))


class Disk(NamedTuple):
    """A database as it was made."""

    size: int  # scores
    bytes: int
    seconds: float | None  # to make it; None where it was kept from an earlier run


class Memory(NamedTuple):
    """The most that the processes of a server held resident, by the number of scores."""

    server: str
    bytes: dict[int, int]

    @property
    def growth(self) -> int:
        """Bytes, from the smallest size to the largest."""
        return self.bytes[max(self.bytes)] - self.bytes[min(self.bytes)]


class RankCost(NamedTuple):
    """What one call costs on a level of so many players."""

    distribution: str  # of the scores
    players: int
    call: str
    milliseconds: list[float]  # of each question

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]


class PostCost(NamedTuple):
    """What a post costs on a level of so many players: microseconds in each round, with blocks and without."""

    distribution: str  # of the scores
    players: int
    with_blocks: list[float]
    without_blocks: list[float]

    @property
    def ratio(self) -> Spread:
        return ratios(self.with_blocks, self.without_blocks)


class Gateway(NamedTuple):
    """A server that is asked once a connection: its answers a second in each round, beside those of waitress."""

    server: str
    rates: list[float]
    waitress: list[float]

    @property
    def ratio(self) -> Spread:
        return ratios(self.rates, self.waitress)


class Results(NamedTuple):
    """All that one run measured; what it left out is empty."""

    http: Sequence[Comparison] = ()
    growth: Sequence[Growth] = ()
    memory: Sequence[Memory] = ()
    disk: Sequence[Disk] = ()
    ranks: Sequence[RankCost] = ()
    posts: Sequence[PostCost] = ()
    gateway: Sequence[Gateway] = ()
