"""How the service starts, and what keeps it from it."""

from __future__ import annotations

import sqlite3 as stdlib_sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.library import SQLITE_VERSION
from tests.running import Server
from tests.serve.commands import ROOT, assert_refused_in_one_line, run


def test_the_startup_line_says_address_database_sqlite_and_processes(shared_server: Server, processes: int) -> None:
    line = next(line for line in shared_server.log.splitlines() if "serves" in line)

    http, tcp = f"http://127.0.0.1:{shared_server.port}", f"tcp://127.0.0.1:{shared_server.tcp_port}"
    for word in (http, tcp, str(shared_server.database), f"SQLite {SQLITE_VERSION}", f"{processes} process"):
        assert word in line


def test_the_gateway_alone_serves_any_application(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scoresvc", "jsontcp", "--port", "0", "tests.tcp.listapp:app"]

    with Server(tmp_path, command=command, environ={"PYTHONPATH": str(ROOT)}) as server:
        assert server.ask(method="GET", path="/") == {"code": 200, "message": "OK", "data": "Hello, World!"}
        assert server.terminate() == 0


def test_the_gateway_alone_serves_the_service_by_default(tmp_path: Path) -> None:
    with Server(tmp_path, command=[sys.executable, "-m", "scoresvc", "jsontcp", "--port", "0"]) as server:
        assert server.ask(method="GET", path="/2/highscorelist") == {"code": 200, "message": "OK", "data": None}
        assert server.terminate() == 0


def test_an_application_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_refused_in_one_line(run(tmp_path, "jsontcp", "--port", "0", "nowhere:app"), "nowhere")


def test_one_session_per_user_is_a_flag_of_the_command_line(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--one-session-per-user") as server:
        (_, old), (_, new) = server.call("GET", "/7/"), server.call("GET", "/7/")

        assert server.call("POST", f"/2/score?sessionkey={old}", "1")[0] == 401
        assert server.call("POST", f"/2/score?sessionkey={new}", "1")[0] == 200


def test_a_port_in_use_is_refused(shared_server: Server, tmp_path: Path) -> None:
    result = run(tmp_path, "serve", "--port", str(shared_server.port))

    assert_refused_in_one_line(result, f"127.0.0.1:{shared_server.port}", "Address already in use")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, "serve", "--port", "0", "--database", "/proc/scores.sqlite3")

    assert_refused_in_one_line(result, "/proc/scores.sqlite3")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite3").write_bytes(b"nothing of the kind" * 100)

    assert_refused_in_one_line(run(tmp_path, "serve", "--port", "0"), "scores.sqlite3", "not a database")


def test_a_database_newer_than_the_code_is_refused(tmp_path: Path) -> None:
    with closing(stdlib_sqlite3.connect(tmp_path / "scores.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 9999")

    assert_refused_in_one_line(run(tmp_path, "serve", "--port", "0"), "version 9999")
    assert_refused_in_one_line(run(tmp_path, "migrate"), "version 9999")


@pytest.mark.parametrize("version", [0, 1])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    with closing(stdlib_sqlite3.connect(tmp_path / "scores.sqlite3")) as connection:
        connection.executescript(f"CREATE TABLE notes (text); PRAGMA user_version = {version}")

    assert_refused_in_one_line(run(tmp_path, "serve", "--port", "0"), "another program")

    with closing(stdlib_sqlite3.connect(tmp_path / "scores.sqlite3")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_a_wrong_option_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[server]\nprot = 1\n")

    assert_refused_in_one_line(run(tmp_path, "serve"), "config.ini", "[server] prot = 1")


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first, second = run(tmp_path, "migrate"), run(tmp_path, "migrate")

    assert "applied 0001_scores" in first.stdout
    assert "up to date" in second.stdout


def test_waitress_says_in_one_line_why_the_service_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[sever]\n")
    command = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:0", "scoresvc:app"]

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)

    assert_refused_in_one_line(result, "config.ini", "[sever]")


def test_importing_the_package_does_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import scoresvc"], cwd=tmp_path, check=True, timeout=20)

    assert list(tmp_path.iterdir()) == []
