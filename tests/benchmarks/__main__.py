"""Measures everything: `python -m tests.benchmarks`, with the extra `bench` and `wrk`.

Prints what it measured as tables, writes it as `benchmarks.json`, draws it as `benchmarks.png`. Each part can be
had by itself: `tests.benchmarks.http`, `.growth`, `.ranks` and `.jsontcp`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.report import as_json, write_conditions, write_tables
from tests.benchmarks.results import Results

try:
    from tests.benchmarks import growth, http, jsontcp, ranks
    from tests.benchmarks.filling import Sample
    from tests.benchmarks.machine import describe_machine
    from tests.benchmarks.options import Options, make_parser, read_options
    from tests.benchmarks.picture import draw
    from tests.benchmarks.servers import end_in_order_on_sigterm
    from tests.benchmarks.wrk import require_wrk
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is needed: pip install -e '.[bench]'")

PARTS = ("http", "growth", "ranks", "gateway")


def measure(chosen: argparse.Namespace, samples: list[Sample], options: Options) -> Iterator[Results]:
    """Yields after each part what is measured so far."""
    results = Results()
    if "http" in chosen.only:
        results = results._replace(http=http.measure(chosen.servers, options))
        yield results
    if "growth" in chosen.only:
        disk, growths, memories = growth.measure(chosen.growth_servers, samples, chosen.keep, options)
        results = results._replace(disk=disk, growth=growths, memory=memories)
        yield results
    if "ranks" in chosen.only:
        costs, posts = ranks.measure(chosen.players, chosen.distributions, options.rounds)
        results = results._replace(ranks=costs, posts=posts)
        yield results
    if "gateway" in chosen.only:
        yield results._replace(gateway=jsontcp.measure_rounds(options.rounds))


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0])
    http.add_options(parser)
    growth.add_options(parser)
    ranks.add_options(parser)
    parser.add_argument("--only", nargs="+", metavar="PART", choices=PARTS, default=PARTS)
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=Path(), help="of the JSON and the picture")
    chosen = parser.parse_args()
    samples = growth.read_samples(parser, chosen)
    require_wrk()
    end_in_order_on_sigterm()
    chosen.output.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    parameters = {**vars(chosen), "users": http.USERS, "levels": http.LEVELS, **jsontcp.PARAMETERS}
    print(write_conditions(machine, parameters))
    for results in measure(chosen, samples, read_options(chosen)):
        report = json.dumps(as_json(results, machine, parameters), indent=2, default=str)
        (chosen.output / "benchmarks.json").write_text(report + "\n")
    print(f"\n{write_tables(results)}")
    draw(results, chosen.output / "benchmarks.png")


if __name__ == "__main__":
    main()
