from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from scoresvc import turns as module
from scoresvc.turns import Turns

processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.sqlite3.lock"


@pytest.fixture
def turns(path: Path) -> Iterator[Turns]:
    with path.open("ab") as file:
        yield Turns(file.fileno())


def _take_turns(path: Path, name: str, count: int, record: Path, together: object) -> None:
    with path.open("ab") as file, record.open("ab", buffering=0) as diary:
        turns = Turns(file.fileno())
        together.wait()  # type: ignore[attr-defined]
        for _ in range(count):
            with turns:
                diary.write(name.encode())
                time.sleep(0.001)
                diary.write(name.encode())


def _keep_a_turn(path: Path, has_it: object) -> None:
    with path.open("ab") as file, Turns(file.fileno()):
        has_it.set()  # type: ignore[attr-defined]
        time.sleep(60)


@pytest.fixture
def holder(path: Path) -> Iterator[int]:
    """The id of a process that has the turn and never gives it back."""
    has_it = processes.Event()
    process = processes.Process(target=_keep_a_turn, args=(path, has_it))
    process.start()
    assert has_it.wait(20)
    yield int(process.pid or 0)
    process.kill()
    process.join()


def test_two_writers_alternate(path: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    together = processes.Barrier(2)
    writers = [processes.Process(target=_take_turns, args=(path, name, 100, record, together)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    runs = [(name, len(list(run))) for name, run in groupby(record.read_text())]
    assert sum(length for _, length in runs) == 400
    assert all(length % 2 == 0 for _, length in runs)  # nobody was in another's turn
    assert len([run for run in runs if run[1] > 2]) <= 10  # while one starts or has ended, the other is alone


def test_a_turn_ends_with_its_process(turns: Turns, holder: int) -> None:
    os.kill(holder, signal.SIGKILL)

    started = time.monotonic()
    with turns:
        assert time.monotonic() - started < module.TURN_WAIT / 2


def test_who_waits_for_one_that_hangs_goes_on_at_last(
    turns: Turns, holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_WAIT", 0.05)

    started = time.monotonic()
    with turns:
        assert 0.05 <= time.monotonic() - started < 5
