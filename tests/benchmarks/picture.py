"""Draws what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from tests.benchmarks.results import Comparison, Growth, Memory, RankCost, Results, Spread, rates, spread

BARE, SERVICE = "#bcc4ce", "#1f6fb2"
# Reads are blue, posts are red, what mixes them is purple.
COLOURS = {"read": ("#0b3c6f", "#2e86c1", "#76b7e5"), "post": ("#8e2323", "#d9534f", "#f0a58f"), "mixed": ("#7d4fa8",)}
BAR_WIDTH = 0.38


def draw(results: Results, path: Path) -> None:
    """Writes a picture of the rates, the costs by size and the ranks; without any of them there is none."""
    rows = [part for part in ("http", "growth", "ranks") if getattr(results, part)]
    if not rows:
        return
    figure = Figure(figsize=(15, 5.6 * len(rows)), layout="constrained")
    for row, area in zip(rows, figure.subfigures(len(rows), 1, squeeze=False)[:, 0], strict=True):
        if row == "http":
            _draw_rates(area, results.http)
        elif row == "growth":
            _draw_costs(area, results.growth, results.memory)
        else:
            _draw_ranks(area, results.ranks)
    figure.savefig(path, dpi=110)


def _draw_rates(area: SubFigure, comparisons: Sequence[Comparison]) -> None:
    _give_title(area, "Requests a second, median with min and max over the rounds")
    workloads = list(dict.fromkeys(comparison.workload for comparison in comparisons))
    area.legend(
        handles=[
            Patch(color=BARE, label="bare application"),
            Patch(color=SERVICE, label="scoresvc, % of the bare one"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    for workload, axes in zip(workloads, area.subplots(1, len(workloads), squeeze=False)[0], strict=True):
        shown = [comparison for comparison in comparisons if comparison.workload == workload]
        _draw_bars(axes, shown)
        axes.set_title(workload)


def _give_title(area: SubFigure, text: str) -> None:
    area.suptitle(text, fontsize=14, fontweight="bold")


def _draw_bars(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    places = range(len(comparisons))
    bare = [spread(rates(comparison.bare)) for comparison in comparisons]
    service = [spread(rates(comparison.service)) for comparison in comparisons]
    labels = [f"{rate.median:,.0f}" for rate in bare]
    shares = [
        f"{rate.median:,.0f}, {comparison.ratio.median:.0%}"
        for rate, comparison in zip(service, comparisons, strict=True)
    ]
    _draw_row(axes, [place - BAR_WIDTH / 2 for place in places], bare, labels, BARE)
    _draw_row(axes, [place + BAR_WIDTH / 2 for place in places], service, shares, SERVICE)
    axes.set_yticks(places, [comparison.server.replace(" ", "\n", 1) for comparison in comparisons])
    axes.invert_yaxis()
    axes.set_xlabel("requests a second")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(0, 1.3 * max(rate.max for rate in (*bare, *service)))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_row(axes: Axes, places: Sequence[float], rates: Sequence[Spread], labels: Sequence[str], colour: str) -> None:
    axes.barh(places, [rate.median for rate in rates], BAR_WIDTH, xerr=_whiskers(rates), color=colour, capsize=3)
    for place, rate, label in zip(places, rates, labels, strict=True):
        axes.annotate(label, (rate.max, place), (6, 0), textcoords="offset points", va="center", fontsize=9)


def _draw_costs(area: SubFigure, growths: Sequence[Growth], memories: Iterable[Memory]) -> None:
    _give_title(area, "Microseconds a request by the number of scores, median with min and max over the rounds")
    servers = list(dict.fromkeys(growth.server for growth in growths))
    grown = {memory.server: memory.growth / 1_000_000 for memory in memories}
    for server, axes in zip(servers, area.subplots(1, len(servers), squeeze=False)[0], strict=True):
        shown = [growth for growth in growths if growth.server == server]
        _draw_lines(axes, shown)
        axes.set_title(f"{server}: memory {grown[server]:+.1f} MB from the fewest scores to the most")


def _draw_lines(axes: Axes, growths: Sequence[Growth]) -> None:
    colours = {kind: iter(some) for kind, some in COLOURS.items()}
    for growth in growths:
        sizes = list(growth.loads)
        costs = [growth.cost(size) for size in sizes]
        axes.errorbar(
            sizes,
            [cost.median for cost in costs],
            yerr=_whiskers(costs),
            color=next(colours[growth.workload.partition(",")[0]]),
            marker="o",
            capsize=3,
            label=f"{growth.workload}: {growth.ratio(sizes[-1]).median:.2f}",
        )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.margins(x=0.08)
    axes.set_xlabel("scores")
    axes.set_ylabel("µs a request")
    axes.set_ylim(0, None)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        title="cost with the most in that with the fewest",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=2,
        frameon=False,
    )


def _draw_ranks(area: SubFigure, ranks: Sequence[RankCost]) -> None:
    _give_title(area, "Milliseconds to ask the store where a player stands: median, with p99 above")
    distributions = list(dict.fromkeys(cost.distribution for cost in ranks))
    for distribution, axes in zip(distributions, area.subplots(1, len(distributions), squeeze=False)[0], strict=True):
        for call in dict.fromkeys(cost.call for cost in ranks):
            shown = [cost for cost in ranks if (cost.distribution, cost.call) == (distribution, call)]
            medians = [cost.percentile(50) for cost in shown]
            above = [cost.percentile(99) - median for cost, median in zip(shown, medians, strict=True)]
            places = [cost.players for cost in shown]
            axes.errorbar(places, medians, yerr=[[0.0] * len(above), above], marker="o", capsize=3, label=call)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("players on the level")
        axes.set_ylabel("ms")
        axes.set_title(f"{distribution} scores")
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)


def _whiskers(spreads: Sequence[Spread]) -> list[list[float]]:
    return [[each.median - each.min for each in spreads], [each.max - each.median for each in spreads]]
