"""Writes metrics in the text format of Prometheus.

The name of a number says what it counts: `<call>\t<status>`, `<call>\tle <seconds>` and `<call>\tseconds` are about
requests, names without a tab about the storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scoresvc.counters import Counters
from scoresvc.storage import Store

OTHER = "other"  # a request that is no call, or a status that is not listed
STATUSES = ("200", "204", "304", "400", "401", "404", "405", "413", "415", "500", "503", OTHER)
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds
BUCKETS = (*map(str, BOUNDS), "+Inf")
POST_RESULTS = {"2": "accepted", "4": "refused", "5": "failed"}  # by the first digit of the status


def write_metrics(counters: Counters, store: Store) -> str:
    """Returns all metrics. Raises Unavailable where the database cannot be read."""
    calls = list(dict.fromkeys(name.split("\t")[0] for name in counters.names if "\t" in name))
    sizes = store.measure()
    lines = [
        *_write_requests(counters, calls),
        *_write("posts_total", "counter", "Posted scores by what became of them.", _count_posts(counters, calls)),
        *_write("commits_total", "counter", "Transactions that were committed.", {"": counters.total("commits")}),
        *_write("commit_writes_total", "counter", "Writes in them.", {"": counters.total("commit_writes")}),
        *_write(
            "waiting_writes", "gauge", "Writes that wait for their commit.", {"": counters.gauge("waiting_writes")}
        ),
        *_write("sessions", "gauge", "Sessions that are valid.", {"": sizes.sessions}),
        *_write("players", "gauge", "Users with a score.", {"": sizes.players}),
        *_write("database_bytes", "gauge", "The database with its write-ahead log.", {"": sizes.database_bytes}),
    ]
    return "\n".join(lines) + "\n"


def _write_requests(counters: Counters, calls: Sequence[str]) -> Iterator[str]:
    requests = {
        f'{{call="{call}",status="{status}"}}': count
        for call in calls
        for status in STATUSES
        if (count := counters.total(f"{call}\t{status}"))
    }
    yield from _write("requests_total", "counter", "Requests that were answered.", requests)
    yield from _describe("request_seconds", "histogram", "Time to answer, without that on the network.")
    for call in calls:
        count = 0.0
        for bucket in BUCKETS:
            count += counters.total(f"{call}\tle {bucket}")
            yield f'scoresvc_request_seconds_bucket{{call="{call}",le="{bucket}"}} {_number(count)}'
        seconds = counters.total(f"{call}\tseconds")
        yield f'scoresvc_request_seconds_sum{{call="{call}"}} {seconds:.6f}'
        yield f'scoresvc_request_seconds_count{{call="{call}"}} {_number(count)}'


def _count_posts(counters: Counters, calls: Sequence[str]) -> dict[str, float]:
    posts = dict.fromkeys(POST_RESULTS.values(), 0.0)
    for call in calls:
        if " /<levelid>/score" not in call:
            continue
        for status in STATUSES:
            if result := POST_RESULTS.get(status[0]):
                posts[result] += counters.total(f"{call}\t{status}")
    return {f'{{result="{result}"}}': count for result, count in posts.items()}


def _write(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> Iterator[str]:
    yield from _describe(name, kind, meaning)
    for labels, value in values.items():
        yield f"scoresvc_{name}{labels} {_number(value)}"


def _describe(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP scoresvc_{name} {meaning}"
    yield f"# TYPE scoresvc_{name} {kind}"


def _number(value: float) -> str:
    return str(int(value))
