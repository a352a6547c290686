"""What the benchmarks say is what was measured."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.library import sqlite3
from tests.benchmarks.filling import LARGE_LEVEL, Sample, fill, first_score
from tests.benchmarks.report import as_json, write_tables
from tests.benchmarks.results import Comparison, Disk, Gateway, Growth, Load, Memory, Results, ratios, spread
from tests.benchmarks.wrk import read_load

PRINTED = """\
Running 1s test @ http://127.0.0.1:38785
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    11.68ms   18.75ms   1.15s    89.68%
    Req/Sec     5.62k     0.99k    7.29k    70.00%
  Latency Distribution
     50%    4.38ms
     75%   11.27ms
     90%   31.77ms
     99%  973.00us
  5590 requests in 1.00s, 1.47MB read
Requests/sec:   5582.15
Transfer/sec:      1.46MB
"""
REFUSED = "  Non-2xx or 3xx responses: {}\nRequests/sec:"

BARE = [Load(100.0, 1.0, 5.0, 0), Load(400.0, 1.0, 5.0, 0), Load(200.0, 1.0, 5.0, 0)]
SERVICE = [Load(50.0, 2.0, 6.0, 0), Load(100.0, 3.0, 8.0, 1), Load(150.0, 4.0, 7.0, 0)]
RESULTS = Results(
    http=[Comparison("waitress-serve", "read", BARE, SERVICE)],
    growth=[Growth("waitress-serve", "post, large level", {1000: BARE, 10_000: SERVICE})],
    memory=[Memory("waitress-serve", {1000: 40_000_000, 10_000: 43_000_000})],
    disk=[Disk(1000, 100_000, None), Disk(10_000, 800_000, 2.5)],
    gateway=[Gateway("gateway", [30.0, 40.0], [10.0, 20.0])],
)


def test_what_wrk_prints_is_read_in_milliseconds() -> None:
    assert read_load(PRINTED) == Load(rate=5582.15, p99_ms=0.973, longest_ms=1150.0, refused=0)


def test_a_refused_answer_is_counted_but_not_in_the_rate() -> None:
    load = read_load(PRINTED.replace("Requests/sec:", REFUSED.format(559)))

    assert (load.refused, round(load.rate, 2)) == (559, round(5582.15 * 0.9, 2))


@pytest.mark.parametrize("line", [REFUSED.format(5590), "  Socket errors: connect 0, read 7, write 0, timeout 0\n"])
def test_a_load_that_mostly_failed_is_no_measurement(line: str) -> None:
    with pytest.raises(RuntimeError, match="Requests/sec"):
        read_load(PRINTED.replace("Requests/sec:", line + "Requests/sec:"))


def test_a_spread_is_min_median_and_max() -> None:
    assert f"{spread([3.0, 1000.0, 2.0]):,.1f}" == "3.0 (2.0 to 1,000.0)"


def test_a_ratio_compares_the_same_round() -> None:
    assert ratios([50, 100, 150], [100, 400, 200]) == (0.25, 0.5, 0.75)


def test_the_cost_is_the_time_of_a_request() -> None:
    (growth,) = RESULTS.growth

    assert growth.cost(10_000).median == 10_000  # microseconds at 100 requests a second
    assert growth.ratio(10_000) == (200 / 150, 2.0, 4.0)


def test_the_tables_hold_each_measurement_once() -> None:
    lines = write_tables(RESULTS).splitlines()

    rows = [line.replace(" ", "") for line in lines if line.startswith("|") and "--" not in line]
    assert "|read|waitress-serve|100(50to150)|200(100to400)|0.50(0.25to0.75)|3.0(2.0to4.0)|8|1|" in rows
    assert "|post,largelevel|waitress-serve|5,000(2,500to10,000)|10,000(6,667to20,000)|2.00(1.33to4.00)|" in rows
    assert "|waitress-serve|40.0|43.0|+3.0|" in rows
    assert "|10,000|800,000|80.0|2|" in rows
    assert "|gateway|35(30to40)|2.50(2.00to3.00)|" in rows


def test_what_was_not_measured_has_no_table() -> None:
    assert write_tables(Results()) == ""


def test_the_json_has_each_round_with_min_median_and_max() -> None:
    report = json.loads(json.dumps(as_json(RESULTS, {"cores": 2}, {"rounds": 3})))

    assert (report["machine"], report["parameters"]) == ({"cores": 2}, {"rounds": 3})
    (comparison,) = report["http"]
    assert [load["rate"] for load in comparison["service"]["rounds"]] == [50, 100, 150]
    assert comparison["service"]["p99_ms"] == {"min": 2, "median": 3, "max": 4}
    assert comparison["ratio"] == {"min": 0.25, "median": 0.5, "max": 0.75}
    (growth,) = report["growth"]
    assert [size["scores"] for size in growth["sizes"]] == [1000, 10_000]
    assert report["memory"][0]["growth_bytes"] == 3_000_000
    assert report["disk"][1]["bytes_a_score"] == 80
    assert report["gateway"][0]["rate"]["median"] == 35


@pytest.fixture
def databases(tmp_path: Path) -> list[set[tuple[int, int, int]]]:
    """The scores of a small database and of a large one."""
    found = []
    for size in (2000, 8000):
        path = tmp_path / str(size)
        assert sum(fill(path, Sample(size, 8000))) == size
        with closing(sqlite3.connect(path)) as connection:
            found.append(set(connection.execute("SELECT level_id, user_id, score FROM scores")))
    return found


def test_a_small_database_is_a_part_of_the_large_one(databases: list[set[tuple[int, int, int]]]) -> None:
    small, large = databases

    assert (len(small), len(large)) == (2000, 8000)
    assert small < large
    assert sum(level_id == LARGE_LEVEL for level_id, _, _ in large) == 4000
    assert len({level_id for level_id, _, _ in large}) == 81


def test_who_posts_has_a_score_in_every_database(databases: list[set[tuple[int, int, int]]]) -> None:
    for sample, scores in zip((Sample(2000, 8000), Sample(8000, 8000)), databases, strict=True):
        posters = {(LARGE_LEVEL, user, first_score(LARGE_LEVEL, user)) for user in sample.posters}
        players = {(level, user, first_score(level, user)) for level in sample.levels for user in sample.posters}

        assert posters <= scores
        assert len(players & scores) == 1000 * sample.size // 2000


@pytest.mark.parametrize(("size", "largest"), [(3000, 12_000), (4000, 10_000), (4000, 2000)])
def test_sizes_that_are_no_samples_of_each_other_are_refused(size: int, largest: int) -> None:
    with pytest.raises(ValueError, match="scores: must be a multiple of 2000"):
        Sample(size, largest)
