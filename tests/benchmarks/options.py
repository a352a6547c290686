"""The options that the measurements over HTTP share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

WORKLOADS = ("read", "post", "mixed")


class Options(NamedTuple):
    """How the servers are loaded."""

    workloads: Sequence[str]
    connections: int  # kept alive
    rounds: int
    seconds: int  # of one load
    threads: int | None  # of a process; None: as many as the server takes by itself


def positive(text: str) -> int:
    """Reads a number for argparse, which turns the error into a line that names the option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 on")
    return int(text)


def make_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workloads", nargs="+", metavar="NAME", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--connections", type=positive, default=32, help="kept alive")
    parser.add_argument("--rounds", type=positive, default=5, help="each loads everything once")
    parser.add_argument("--seconds", type=positive, default=2, help="of one load")
    parser.add_argument("--threads", type=positive, help="of a process, in place of what the server takes by itself")
    return parser


def read_options(chosen: argparse.Namespace) -> Options:
    return Options(**{name: getattr(chosen, name) for name in Options._fields})
