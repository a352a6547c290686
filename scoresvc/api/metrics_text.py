"""Writes metrics in the text format of Prometheus.

The name of a number says what it counts: `<call>\\t<status>\\t<seconds at most>` and `<call>\\tseconds` are about
requests, names without a tab about the storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scoresvc.counters import Counters
from scoresvc.storage import Store

OTHER = "other"  # a request that is no call, or a status that is not listed
LIMITED = "limited"
STATUSES = (
    "200", "204", "304", "400", "401", "403", "404", "405", "409", "410", "413", "415", "422", "429", "500", "503",
    OTHER,
)  # fmt: skip
BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)  # seconds
BUCKETS = (*map(str, BOUNDS), "+Inf")
POST_RESULTS = {"2": "accepted", "4": "refused", "5": "failed"}  # by the first digit of the status


def write_metrics(counters: Counters, store: Store) -> str:
    """Returns all metrics. Raises Unavailable where the database cannot be read."""
    totals, sizes = counters.totals(), store.measure()
    calls = [name.removesuffix("\tseconds") for name in totals if name.endswith("\tseconds")]
    requests = {(call, status): _count(totals, call, (status,), BUCKETS) for call in calls for status in STATUSES}
    lines = [
        *_write("requests_total", "counter", "Requests that were answered.", _label_requests(requests)),
        *_write_seconds(totals, calls),
        *_write("posts_total", "counter", "Posted scores by what became of them.", _count_posts(requests)),
        *_write("commits_total", "counter", "Transactions that were committed.", {"": totals["commits"]}),
        *_write("commit_writes_total", "counter", "Writes in them.", {"": totals["commit_writes"]}),
        *_write(
            "waiting_writes", "gauge", "Writes that wait for their commit.", {"": counters.gauge("waiting_writes")}
        ),
        *_write("limited_total", "counter", "Requests that a limit has refused.", {"": totals[LIMITED]}),
        *_write("sessions", "gauge", "Sessions that are valid.", {"": sizes.sessions}),
        *_write("players", "gauge", "Users with a score.", {"": sizes.players}),
        *_write("last_backup_timestamp_seconds", "gauge", "When the last backup was made.", _write_backup(store)),
        *_write("database_bytes", "gauge", "The database with its write-ahead log.", {"": sizes.database_bytes}),
    ]
    return "\n".join(lines) + "\n"


def _write_backup(store: Store) -> dict[str, float]:
    last_backup = store.last_backup()
    return {} if last_backup is None else {"": last_backup}


def _count(totals: Mapping[str, float], call: str, statuses: Sequence[str], buckets: Sequence[str]) -> float:
    return sum(totals[f"{call}\t{status}\t{bucket}"] for status in statuses for bucket in buckets)


def _label_requests(requests: Mapping[tuple[str, str], float]) -> dict[str, float]:
    return {f'{{call="{call}",status="{status}"}}': count for (call, status), count in requests.items() if count}


def _write_seconds(totals: Mapping[str, float], calls: Sequence[str]) -> Iterator[str]:
    yield from _describe("request_seconds", "histogram", "Time to answer, without that on the network.")
    for call in calls:
        count, seconds = 0.0, totals[f"{call}\tseconds"]
        for bucket in BUCKETS:
            count += _count(totals, call, STATUSES, (bucket,))
            yield f'scoresvc_request_seconds_bucket{{call="{call}",le="{bucket}"}} {_number(count)}'
        yield f'scoresvc_request_seconds_sum{{call="{call}"}} {seconds:.6f}'
        yield f'scoresvc_request_seconds_count{{call="{call}"}} {_number(count)}'


def _count_posts(requests: Mapping[tuple[str, str], float]) -> dict[str, float]:
    posts = dict.fromkeys(POST_RESULTS.values(), 0.0)
    for (call, status), count in requests.items():
        if "/<levelid>/score/" in f"{call}/" and status[0] in POST_RESULTS:
            posts[POST_RESULTS[status[0]]] += count
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
