"""Numbers that several processes count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scoresvc.counters import Counters

COUNT = """
import sys
from pathlib import Path
from scoresvc.counters import Counters
counters = Counters(("a", "b"), Path(sys.argv[1]))
counters.add(0, 2)
counters.slots[1] = 5
print("counted", flush=True)
sys.stdin.read()
"""


def test_a_total_stays_when_a_process_ends_and_a_gauge_does_not(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    ours = Counters(("a", "b"), path)
    ours.add(ours.place_of("a"), 1)
    ours.slots[ours.place_of("b")] = 3

    with subprocess.Popen(
        [sys.executable, "-c", COUNT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        assert (ours.totals()["a"], ours.gauge("b")) == (3, 8)
        other.kill()

    assert (ours.totals()["a"], ours.gauge("b")) == (3, 3)
    ours.close()


def test_a_file_of_another_layout_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    old = Counters(("a", "b"), path)
    old.add(0, 7)

    new = Counters(("a", "c"), path)

    assert (new.totals()["a"], old.totals()["a"]) == (0, 7)
    for each in (old, new):
        each.close()


def test_a_file_that_was_cut_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    Counters(("a",), path).close()
    os.truncate(path, 20)

    counters = Counters(("a",), path)
    counters.add(0, 1)

    assert counters.totals()["a"] == 1
    counters.close()
