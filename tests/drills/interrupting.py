"""Kills backups, restorations and imports at random moments, and looks at what is left.

    python -m tests.drills.interrupting [--kills 50]

After each kill there is a whole backup, the old one or the new one; a whole database, the one before or the backup; and
a database without faults, into which the same import can be made again.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path

from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import COUNTERS, find_faults, open_store
from scoresvc.storage.sqlite.library import sqlite3

SEED = 18
USERS = 3000
ROWS = 7000
LEVEL = 2


def run(kills: int) -> dict[str, int]:
    """Returns how many of the kills came before the end, by command. Raises AssertionError where something is lost."""
    moments = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "scores.sqlite3")
        return {
            "backup": _interrupt_backups(folder, kills, moments),
            "restore": _interrupt_restorations(folder, kills, moments),
            "import": _interrupt_imports(folder, kills, moments),
        }


def _fill(path: Path) -> None:
    with closing(open_store(Config(database=DatabaseOptions(path=path)), counted=COUNTERS)) as store:
        for write in [store.scores.post(LEVEL, user, user) for user in range(USERS)]:
            write.result()


def _interrupt(
    folder: Path, kills: int, moments: random.Random, check: Callable[[], None], commands: Iterator[tuple[str, ...]]
) -> int:
    """Returns how many of the kills came before the end."""
    began = time.monotonic()
    assert _start(folder, *next(commands)).wait() == 0
    seconds = time.monotonic() - began
    interrupted = 0
    for _ in range(kills):
        process = _start(folder, *next(commands))
        time.sleep(moments.uniform(seconds / 4, seconds))  # before, Python is still starting
        process.kill()
        interrupted += process.wait() != 0
        check()
    return interrupted


def _start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "scoresvc", *command], cwd=folder, stdout=subprocess.DEVNULL)


def _interrupt_backups(folder: Path, kills: int, moments: random.Random) -> int:
    copy = folder / "copy.sqlite3"

    def check() -> None:
        assert _players(copy) == USERS
        assert list(find_faults(_config(copy))) == []

    return _interrupt(folder, kills, moments, check, repeat(("backup", copy.name)))


def _interrupt_restorations(folder: Path, kills: int, moments: random.Random) -> int:
    database = folder / "scores.sqlite3"

    def check() -> None:
        assert _players(database) in (USERS, USERS + 1)
        assert list(find_faults(_config(database))) == []
        with closing(open_store(_config(database), counted=COUNTERS)) as store:
            store.scores.post(LEVEL, USERS, 1).result()  # which a restoration takes away again

    return _interrupt(folder, kills, moments, check, repeat(("restore", "copy.sqlite3")))


def _interrupt_imports(folder: Path, kills: int, moments: random.Random) -> int:
    """Each import is of a level of its own, and made again after the kill."""
    database, rows = folder / "scores.sqlite3", folder / "rows.csv"
    levels = iter(range(LEVEL + 1, 2**31))

    def commands() -> Iterator[tuple[str, ...]]:
        for level in levels:
            lines = [f"{level},{user},{user},2026-01-01T00:00:00Z\n" for user in range(ROWS)]
            rows.write_text("level,user,score,reached_at\n" + "".join(lines))
            yield ("import", rows.name)

    def check() -> None:
        assert list(find_faults(_config(database))) == []
        assert _start(folder, "import", rows.name).wait() == 0
        assert _players(database) % ROWS == whole

    whole = _players(database) % ROWS
    return _interrupt(folder, kills, moments, check, commands())


def _config(path: Path) -> Config:
    return Config(database=DatabaseOptions(path=path))


def _players(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        ((players,),) = connection.execute("SELECT count(*) FROM scores").fetchall()
    return int(players)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    kills = parser.parse_args().kills
    for command, interrupted in run(kills).items():
        print(f"{command}: killed {kills} times, {interrupted} times before its end; all was whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
