"""Says what was measured: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.benchmarks.results import (
    Comparison,
    Disk,
    Gateway,
    Growth,
    Load,
    Memory,
    PostCost,
    RankCost,
    Results,
    rates,
    spread,
)

MEGABYTE = 1_000_000


def write_conditions(machine: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in {**machine, **parameters}.items())


def write_tables(results: Results) -> str:
    """Returns a table in Markdown for each part that was measured; a cell is `median (min to max)` over the rounds."""
    tables = {
        "Requests a second, the service beside a bare application on the same server": _http(results.http),
        "Microseconds a request as the scores grow": _growth(results.growth),
        "MB that the processes of a server held resident at most": _memory(results.memory),
        "The databases": _disk(results.disk),
        "Milliseconds to ask the store where a player stands": _ranks(results.ranks),
        "Microseconds a post to the store, by many threads": _posts(results.posts),
        "Answers a second, one to a connection": _gateway(results.gateway),
    }
    return "\n\n".join(f"{title}:\n\n{_table(rows)}" for title, rows in tables.items() if len(rows) > 1)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the heading; the columns stand one below the other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    heading, *others = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ["-" * width for width in widths], *others))


def _http(comparisons: Iterable[Comparison]) -> list[Sequence[str]]:
    return [
        ("workload", "server", "service", "bare", "of the bare one", "p99, ms", "longest, ms", "refused"),
        *(
            (
                comparison.workload,
                comparison.server,
                f"{spread(rates(comparison.service)):,.0f}",
                f"{spread(rates(comparison.bare)):,.0f}",
                f"{comparison.ratio:.2f}",
                f"{spread(load.p99_ms for load in comparison.service):.1f}",
                f"{max(load.longest_ms for load in comparison.service):.0f}",
                f"{sum(load.refused for load in comparison.service)}",
            )
            for comparison in comparisons
        ),
    ]


def _growth(growths: Sequence[Growth]) -> list[Sequence[str]]:
    sizes = sorted({size for growth in growths for size in growth.loads})
    return [
        ("workload", "server", *(f"{size:,} scores" for size in sizes), "last to first"),
        *(
            (
                growth.workload,
                growth.server,
                *(f"{growth.cost(size):,.0f}" for size in sizes),
                f"{growth.ratio(sizes[-1]):.2f}",
            )
            for growth in growths
        ),
    ]


def _memory(memories: Sequence[Memory]) -> list[Sequence[str]]:
    sizes = sorted({size for memory in memories for size in memory.bytes})
    return [
        ("server", *(f"{size:,} scores" for size in sizes), "last less first"),
        *(
            (
                memory.server,
                *(f"{memory.bytes[size] / MEGABYTE:.1f}" for size in sizes),
                f"{memory.growth / MEGABYTE:+.1f}",
            )
            for memory in memories
        ),
    ]


def _disk(disk: Iterable[Disk]) -> list[Sequence[str]]:
    return [
        ("scores", "bytes on disk", "bytes a score", "seconds to make"),
        *(
            (
                f"{made.size:,}",
                f"{made.bytes:,}",
                f"{made.bytes / made.size:.1f}",
                "kept" if made.seconds is None else f"{made.seconds:.0f}",
            )
            for made in disk
        ),
    ]


def _ranks(ranks: Iterable[RankCost]) -> list[Sequence[str]]:
    return [
        ("scores", "players", "call", "median", "p99", "longest"),
        *(
            (
                cost.distribution,
                f"{cost.players:,}",
                cost.call,
                f"{cost.percentile(50):.3f}",
                f"{cost.percentile(99):.3f}",
                f"{max(cost.milliseconds):.3f}",
            )
            for cost in ranks
        ),
    ]


def _posts(posts: Iterable[PostCost]) -> list[Sequence[str]]:
    return [
        ("scores", "players", "with blocks", "without", "with to without"),
        *(
            (
                cost.distribution,
                f"{cost.players:,}",
                f"{spread(cost.with_blocks):.0f}",
                f"{spread(cost.without_blocks):.0f}",
                f"{cost.ratio:.2f}",
            )
            for cost in posts
        ),
    ]


def _gateway(gateways: Iterable[Gateway]) -> list[Sequence[str]]:
    return [
        ("server", "answers a second", "of waitress"),
        *((gateway.server, f"{spread(gateway.rates):,.0f}", f"{gateway.ratio:.2f}") for gateway in gateways),
    ]


def as_json(results: Results, machine: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all of it as plain values: what each round measured, with min, median and max."""
    return {
        "machine": dict(machine),
        "parameters": dict(parameters),
        "http": [
            {
                "workload": comparison.workload,
                "server": comparison.server,
                "service": _loads(comparison.service),
                "bare": _loads(comparison.bare),
                "ratio": comparison.ratio._asdict(),
            }
            for comparison in results.http
        ],
        "growth": [
            {
                "workload": growth.workload,
                "server": growth.server,
                "sizes": [
                    {
                        "scores": size,
                        "service": _loads(loads),
                        "cost_us": growth.cost(size)._asdict(),
                        "ratio": growth.ratio(size)._asdict(),
                    }
                    for size, loads in growth.loads.items()
                ],
            }
            for growth in results.growth
        ],
        "memory": [
            {
                "server": memory.server,
                "sizes": [{"scores": size, "resident_bytes": count} for size, count in memory.bytes.items()],
                "growth_bytes": memory.growth,
            }
            for memory in results.memory
        ],
        "disk": [
            {
                "scores": made.size,
                "bytes": made.bytes,
                "bytes_a_score": made.bytes / made.size,
                "seconds_to_make": made.seconds,
            }
            for made in results.disk
        ],
        "ranks": [
            {
                "scores": cost.distribution,
                "players": cost.players,
                "call": cost.call,
                "median_ms": cost.percentile(50),
                "p99_ms": cost.percentile(99),
                "longest_ms": max(cost.milliseconds),
            }
            for cost in results.ranks
        ],
        "posts": [
            {
                "scores": cost.distribution,
                "players": cost.players,
                "with_blocks_us": cost.with_blocks,
                "without_blocks_us": cost.without_blocks,
                "ratio": cost.ratio._asdict(),
            }
            for cost in results.posts
        ],
        "gateway": [
            {
                "server": gateway.server,
                "rounds": gateway.rates,
                "rate": spread(gateway.rates)._asdict(),
                "ratio_to_waitress": gateway.ratio._asdict(),
            }
            for gateway in results.gateway
        ],
    }


def _loads(loads: Sequence[Load]) -> dict[str, Any]:
    return {
        "rounds": [load._asdict() for load in loads],
        **{name: spread(getattr(load, name) for load in loads)._asdict() for name in Load._fields},
    }
