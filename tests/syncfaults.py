"""Lets the syncs of a server fail, each in turn, by strace's injection.

strace counts for each thread of the server by itself. At the start, the second sync of a thread is that of the
folder, whose failure SQLite overlooks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.running import DidNotStart, Posts, Server, assert_nothing_lost

POSTS = 60  # acknowledged ones after which a server that goes on is stopped


class Outcome(NamedTuple):
    started: bool
    status: int  # of the process that met the fault; 0 where it went on and was told to stop
    log: str  # of its start, where it did not start
    acknowledged: int
    refused: set[int]  # statuses of the other posts


def fail_syncs(folder: Path, when: str, flags: Sequence[str] = ()) -> Outcome:
    """Serves posts while the `when`-th sync fails ("3"), or all from it on ("3+"), then serves again without a fault.

    Raises AssertionError where an acknowledged score is lost.
    """
    inject = f"inject=fsync,fdatasync:error=EIO:when={when}"
    strace = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject)
    try:
        with Server(folder, *flags, within=strace) as server:
            posts = Posts(server)
            posts.wait_for(POSTS)
            posts.stop()
            status = server.process.wait(15) if posts.cut_off or posts.refused else server.terminate()
    except DidNotStart as refusal:
        return Outcome(False, refusal.status, refusal.log, 0, set())

    with Server(folder, *flags) as server:
        server.terminate()
    assert_nothing_lost(server.database, posts)
    return Outcome(True, status, "", len(posts.acknowledged), set(posts.refused))


def main() -> int:
    """Prints what came of each fault; returns 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.syncfaults", description="Let the syncs of a server fail.")
    parser.add_argument("--last", type=int, default=30, help="the last sync to fail")
    options = parser.parse_args()
    broken = 0
    for when in [f"{number}{rest}" for number in range(1, options.last + 1) for rest in ("", "+")]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = fail_syncs(Path(folder), when)
            except (AssertionError, OSError) as error:
                broken += 1
                print(f"{when}: BROKEN: {error!r}", flush=True)
            else:
                print(f"{when}: {outcome}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
