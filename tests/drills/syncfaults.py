"""Makes the syncs of a server fail, one after the other, with the fault injection of strace.

strace counts the calls of each thread separately. At the start, the second sync of a thread is that of the
folder, whose failure SQLite ignores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.running import DidNotStart, Posts, Server, assert_nothing_lost

POSTS = 150  # acknowledged ones after which a server that goes on is stopped


class SyncOutcome(NamedTuple):
    started: bool
    status: int  # of the process that had the fault; 0 where it went on until it was stopped
    log: str  # of its start, where it did not start
    acknowledged: int
    refused: set[int]  # statuses of the other posts


def fail_syncs(folder: Path, when: str, processes: int = 1) -> SyncOutcome:
    """Serves posts while the `when`-th sync fails ("3"), or all from it on ("3+"), then serves again without a fault.

    Raises AssertionError where an acknowledged score is lost.
    """
    inject = f"inject=fsync,fdatasync:error=EIO:when={when}"
    strace = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject)
    try:
        with Server(folder, within=strace, processes=processes) as server:
            posts = Posts(server)
            posts.wait_for(POSTS)
            posts.stop()
            status = server.process.wait(15) if posts.cut_off or posts.refused else server.terminate()
    except DidNotStart as refusal:
        return SyncOutcome(False, refusal.status, refusal.log, 0, set())

    with Server(folder) as server:
        server.terminate()
    assert_nothing_lost(server.database, posts)
    return SyncOutcome(True, status, "", len(posts.acknowledged), set(posts.refused))


def main() -> int:
    """Prints the outcome of each fault; returns 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.syncfaults", description="Make the syncs of a server fail."
    )
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
