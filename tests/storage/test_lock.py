from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from scoresvc.storage.sqlite import lock as module
from scoresvc.storage.sqlite.lock import FairLock

processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.sqlite3.lock"


@pytest.fixture
def lock(path: Path) -> Iterator[FairLock]:
    with path.open("ab") as file:
        yield FairLock(file.fileno())


def _lock_repeatedly(path: Path, name: str, count: int, record: Path, together: object) -> None:
    with path.open("ab") as file, record.open("ab", buffering=0) as diary:
        lock = FairLock(file.fileno())
        together.wait()  # type: ignore[attr-defined]
        for _ in range(count):
            with lock:
                diary.write(name.encode())
                time.sleep(0.001)
                diary.write(name.encode())


def _hold(path: Path, has_it: object) -> None:
    with path.open("ab") as file, FairLock(file.fileno()):
        has_it.set()  # type: ignore[attr-defined]
        time.sleep(60)


@pytest.fixture
def holder(path: Path) -> Iterator[int]:
    """The id of a process that holds the lock and never releases it."""
    has_it = processes.Event()
    process = processes.Process(target=_hold, args=(path, has_it))
    process.start()
    assert has_it.wait(20)
    yield int(process.pid or 0)
    process.kill()
    process.join()


def test_two_writers_alternate(path: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    together = processes.Barrier(2)
    writers = [processes.Process(target=_lock_repeatedly, args=(path, name, 100, record, together)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    runs = [(name, len(list(run))) for name, run in groupby(record.read_text())]
    assert sum(length for _, length in runs) == 400
    assert all(length % 2 == 0 for _, length in runs)  # nobody was inside while another held it
    assert len([run for run in runs if run[1] > 2]) <= 10  # while one starts or has ended, the other is alone


def test_a_lock_is_released_by_the_death_of_its_process(lock: FairLock, holder: int) -> None:
    os.kill(holder, signal.SIGKILL)

    started = time.monotonic()
    with lock:
        assert time.monotonic() - started < module.ACQUIRE_TIMEOUT / 2


def test_a_process_that_waits_for_one_that_hangs_goes_on_after_the_timeout(
    lock: FairLock, holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACQUIRE_TIMEOUT", 0.05)

    started = time.monotonic()
    with lock:
        assert 0.05 <= time.monotonic() - started < 5
