"""What a running server does when its disk, its database or its writer fails: it never acknowledges falsely."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.writer import LOCKED_TIMEOUT
from tests.drills.syncfaults import fail_syncs
from tests.running import Posts, Server, assert_nothing_lost
from tests.timing import Clients, longest

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

LOCKED_FOR = 3.0  # seconds

HOLD_THE_LOCK = """
import sys
from scoresvc.storage.sqlite.library import sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""

SERVE_UNTIL_THE_WRITER_DIES = """
import sys
from scoresvc import cli
from scoresvc.storage.sqlite.appends import POST, Appends
posts_left = 100
store = Appends.store

def store_some(appends, connection, rows):
    global posts_left
    posts_left -= len(rows.get(POST, ()))
    if posts_left < 0:
        raise SystemExit("the writer dies")
    return store(appends, connection, rows)

Appends.store = store_some
sys.exit(cli.main())
"""

WITHOUT_A_LOG = """
import logging

def fail(*arguments, **options):
    raise TypeError("the log is broken")

logging.Logger.critical = fail
"""


@needs_strace
@pytest.mark.parametrize(("processes", "when"), [(1, "20"), (1, "21+"), (1, "30+"), (2, "30+")])
def test_a_sync_that_fails_ends_the_process_with_an_error_and_without_a_false_acknowledgement(
    tmp_path: Path, processes: int, when: str
) -> None:
    outcome = fail_syncs(tmp_path, when, processes)

    assert (outcome.started, outcome.status) == (True, 1)
    assert outcome.acknowledged > 0
    assert outcome.refused <= {503}


@needs_strace
@pytest.mark.parametrize("when", ["1", "3+"])
def test_a_sync_that_fails_at_the_start_is_reported_in_one_line(tmp_path: Path, when: str) -> None:
    outcome = fail_syncs(tmp_path, when)

    assert (outcome.started, outcome.status) == (False, 1)
    assert outcome.log.splitlines()[-1].startswith(("scoresvc: cannot open the", "scoresvc: cannot write to the"))
    assert "scores.sqlite3" in outcome.log.splitlines()[-1]
    assert "Traceback" not in outcome.log


@needs_strace
def test_while_a_sync_takes_long_reads_go_on(tmp_path: Path) -> None:
    slow = "inject=fsync,fdatasync:delay_exit=250000:when=12+"  # microseconds
    strace = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", slow)
    with Server(tmp_path, within=strace) as server:
        posts = Posts(server, threads=2)
        posts.wait_for(8)
        while (before := len(posts.acknowledged)) < 12:  # at the latest now a sync takes long
            posts.wait_for(before + 1)

        reads = [server.call("GET", f"/{level}/highscorelist")[0] for level in range(20)]

        assert reads == [200] * 20
        assert len(posts.acknowledged) <= before + 2
        posts.stop()
        assert posts.refused == []
    assert_nothing_lost(server.database, posts)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if not shutil.which("mount"):
        pytest.skip("mount is not installed")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_on_a_full_disk_posts_are_refused_and_reads_go_on_until_there_is_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        flags = ("--database", str(disk / "scores.sqlite3"), "--logfile", str(disk / "log.txt"))
        with Server(tmp_path, *flags) as server:
            posts = Posts(server)
            posts.wait_for(50)

            filler = fill(disk)
            with Clients(server, 1, lambda number: ("GET", "/7/login", None)) as logins:
                refused = logins.wait_for(503)
            lists = {server.call("GET", f"/{level}/highscorelist") for level in (1, 2)}
            stranger = server.call("POST", "/0/score?sessionkey=stranger", "1")
            filler.unlink()
            with Clients(server, 1, lambda number: ("GET", "/7/login", None)) as logins:
                logins.wait_for(200)
            posts.wait_for(len(posts.acknowledged) + 50)
            posts.stop()

            assert server.terminate() == 0
        assert_nothing_lost(disk / "scores.sqlite3", posts)
    assert refused.seconds < LOCKED_TIMEOUT  # at once, not as for a lock
    assert lists == {(200, "7=1"), (200, "7=2")}
    assert stranger[0] == 401  # the session was looked for
    assert set(posts.refused) == {503}
    assert posts.cut_off == []


def test_while_another_process_locks_the_database_reads_go_on_and_posts_are_refused_in_time(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(20)
        _, key = server.call("GET", "/8/login")
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK, str(server.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        locked_at = time.monotonic()
        with (
            Clients(server, 4, lambda number: ("POST", f"/{number}/score?sessionkey={key}", "1")) as posters,
            Clients(server, 2, lambda number: ("GET", f"/{number % 20}/highscorelist", None), pause=0.001) as readers,
        ):
            time.sleep(LOCKED_FOR)
            released_at = time.monotonic()
            holder.communicate(timeout=10)
            works_again = posters.wait_for(200, since=locked_at)
        posts.stop()

        assert server.terminate() == 0
    assert_nothing_lost(server.database, posts)
    refused = [answer for answer in posters.answers if answer.status != 200]
    reads = [answer for answer in readers.answers if answer.ended < released_at]
    assert {answer.status for answer in reads} == {200}
    assert len(reads) > 200
    assert {answer.status for answer in refused} | set(posts.refused) == {503}
    assert min(answer.ended for answer in refused) < released_at
    assert longest(refused) < 2 * LOCKED_TIMEOUT
    assert works_again.ended > released_at


@pytest.mark.parametrize("processes", ["1", "2"])
def test_when_the_writer_dies_no_request_hangs_and_the_process_ends_with_an_error(
    tmp_path: Path, processes: str
) -> None:
    dying = (sys.executable, "-c", SERVE_UNTIL_THE_WRITER_DIES, "serve", "--port", "0", "--processes", processes)
    with Server(tmp_path, command=dying) as server:
        posts = Posts(server, threads=8)
        posts.join()

        assert server.process.wait(5) == 1
    assert_nothing_lost(server.database, posts)
    assert posts.acknowledged
    assert set(posts.refused) == {503}
    assert "the writer dies" in server.log


def test_when_the_writer_dies_and_cannot_log_it_the_process_ends_with_an_error_too(tmp_path: Path) -> None:
    dying = (sys.executable, "-c", WITHOUT_A_LOG + SERVE_UNTIL_THE_WRITER_DIES, "serve", "--port", "0")
    with Server(tmp_path, command=dying) as server:
        posts = Posts(server)
        posts.wait_for(50)

        assert server.process.wait(10) == 1
        posts.join()
    assert_nothing_lost(server.database, posts)
    assert set(posts.refused) == {503}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_of_level_versions_that_is_truncated_ends_the_service_with_a_reason(
    tmp_path: Path, processes: int
) -> None:
    with Server(tmp_path, processes=processes) as server:
        posts = Posts(server)
        posts.wait_for(20)

        os.truncate(f"{server.database}.changes", 0)
        posts.join()

        assert server.process.wait(15) != 0
        assert "Bus error" in server.log
        assert "versions.py" in server.log
    with Server(tmp_path, processes=processes) as server:
        assert server.call("GET", "/0/highscorelist") == (200, "7=0")
    assert_nothing_lost(server.database, posts)
