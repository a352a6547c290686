"""Several processes that serve, and the one that writes for them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import START_WAIT, Posts, Server, assert_nothing_lost


def children_of(pid: int) -> list[int]:
    """The processes that a process has forked, oldest first: the writer is the first."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + START_WAIT
    while not all(map(is_gone, pids)):
        assert time.monotonic() < until
        time.sleep(0.01)


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, processes=2) as server:
        yield server


@needs_proc
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_when_any_process_is_killed_all_end_with_an_error_and_nothing_acknowledged_is_lost(
    server: Server, victim: int
) -> None:
    posts = Posts(server, threads=8)
    posts.wait_for(100)
    children = children_of(server.process.pid)

    os.kill(children[victim], signal.SIGKILL)

    assert server.process.wait(15) == 1
    posts.join()
    wait_until_gone(children)
    assert set(posts.refused) <= {503}
    assert_nothing_lost(server.database, posts)


@needs_proc
def test_when_the_parent_is_killed_the_writer_commits_what_it_has_and_ends(server: Server) -> None:
    posts = Posts(server, threads=8)
    posts.wait_for(100)
    children = children_of(server.process.pid)

    server.kill()

    wait_until_gone(children)
    posts.join()
    assert_nothing_lost(server.database, posts)


def test_a_list_is_never_older_than_an_acknowledged_post_whatever_process_answers(server: Server) -> None:
    _, key = server.call("GET", "/7/login")
    stale = 0
    for score in range(1, 300):
        server.call("POST", f"/2/score?sessionkey={key}", str(score))
        stale += server.call("GET", "/2/highscorelist") != (200, f"7={score}")

    assert stale == 0


def test_a_session_of_one_process_is_good_on_the_other(server: Server) -> None:
    keys = [server.call("GET", f"/{user}/login")[1] for user in range(20)]

    statuses = {server.call("POST", f"/2/score?sessionkey={key}", "1")[0] for key in keys for _ in range(4)}

    assert statuses == {200}


@needs_proc
def test_the_signal_of_a_terminal_which_goes_to_all_processes_ends_them_in_order(server: Server) -> None:
    posts = Posts(server, threads=8)
    posts.wait_for(100)

    for pid in (server.process.pid, *children_of(server.process.pid)):
        os.kill(pid, signal.SIGINT)

    assert server.process.wait(15) == 0
    posts.join()
    assert set(posts.refused) <= {503}  # for a connection that came too late
    assert_nothing_lost(server.database, posts)


def test_a_database_that_cannot_be_opened_ends_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite3").write_bytes(b"nothing of the kind" * 100)

    with pytest.raises(AssertionError, match=r"^the server did not start: scoresvc: cannot open the database"):
        Server(tmp_path, processes=2)


def test_users_are_made_named_and_claimed_by_all_processes(tmp_path: Path) -> None:
    with Server(tmp_path, "--processes", "2") as server:
        _, made = server.call("POST", "/new", "Ann")
        user = dict(line.split("=") for line in made.splitlines())
        _, key = server.call("GET", "/7/login?name=Bob")
        status, secret = server.call("POST", f"/7/claim?sessionkey={key}")
        for _ in range(4):  # a new connection each, so both processes
            assert server.call("GET", f"/{user['user']}/name") == (200, "Ann")
            assert server.call("GET", "/7/name") == (200, "Bob")
            assert server.call("GET", f"/7/login?secret={secret}")[0] == 200
            assert server.call("GET", f"/{user['user']}/login")[0] == 401
            assert server.call("POST", f"/7/claim?sessionkey={key}")[0] == 409

    assert status == 200
    assert "Traceback" not in server.log
