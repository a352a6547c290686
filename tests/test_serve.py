"""What only a running server shows: signals, restarts, limits, faults at the start."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import sqlite3 as stdlib_sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from scoresvc.sqlite import SQLITE_VERSION, bears_several_writers
from tests.running import Posts, Server, assert_nothing_lost, call

KILLS = 20
# The service with half a second for a request to arrive.
IMPATIENT = """
from scoresvc import cli, granian, rsgi, serve
granian.REQUEST_WAIT = rsgi.REQUEST_WAIT = serve.REQUEST_WAIT = 0.5
cli.main()
"""
ROOT = Path(__file__).parent.parent


@pytest.fixture(params=["waitress", "granian"])
def start(request: pytest.FixtureRequest) -> Callable[..., Server]:
    """Starts the service on each of the servers that it knows."""
    if request.param == "granian":
        pytest.importorskip("granian", reason="granian is not installed")
    return partial(Server, http_server=request.param)


@pytest.fixture
def server(start: Callable[..., Server], tmp_path: Path) -> Iterator[Server]:
    with start(tmp_path) as server:
        yield server


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scoresvc", *arguments], cwd=folder, capture_output=True, text=True, timeout=20
    )


def assert_refused_in_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr


def test_the_startup_line_says_address_database_sqlite_and_processes(server: Server) -> None:
    line = next(line for line in server.log.splitlines() if "serves" in line)

    for word in (f"http://127.0.0.1:{server.port}", str(server.database), f"SQLite {SQLITE_VERSION}", "1 process"):
        assert word in line


def test_sessions_and_scores_outlive_a_restart(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path) as server:
        _, key = server.call("GET", "/4711/")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1500") == (200, "")
        assert server.terminate() == 0

    with start(tmp_path) as server:
        assert server.call("POST", f"/3/score?sessionkey={key}", "7") == (200, "")
        assert server.call("GET", "/2/highscorelist") == (200, "4711=1500")


def test_nothing_acknowledged_is_lost_to_kill_9(start: Callable[..., Server], tmp_path: Path) -> None:
    acknowledged = 0
    for cycle in range(KILLS):
        with start(tmp_path) as server:
            posts = Posts(server, first_level=cycle * 10**6)
            posts.wait_for(30 + 5 * cycle)
            server.kill()
            posts.join()

        assert_nothing_lost(server.database, posts)
        acknowledged += len(posts.acknowledged)
    assert acknowledged >= 30 * KILLS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_finishes_what_is_in_hand(server: Server, number: int) -> None:
    posts = Posts(server, threads=12)
    posts.wait_for(50)

    started = time.monotonic()
    status = server.terminate(number)
    seconds = time.monotonic() - started
    posts.join()

    assert status == 0
    assert seconds < 5
    assert posts.refused == []
    assert_nothing_lost(server.database, posts)
    assert not [error for error in posts.cut_off if isinstance(error, http.client.IncompleteRead)]


def test_a_request_that_is_arriving_at_the_signal_is_answered(server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(b"GET /2/highscorelist HTTP/1.1\r\nHost: x\r\n")
        assert server.call("GET", "/") == (200, "Hello, World!")  # by now the first one is being read

        server.process.send_signal(signal.SIGTERM)
        client.sendall(b"\r\n")

        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert server.process.wait(10) == 0


def test_idle_connections_do_not_hold_the_end_up(server: Server) -> None:
    with closing(server.connect()) as connection:
        call(connection, "GET", "/")

        started = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "request_bytes",
    [b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n15"],
)
def test_a_request_that_never_arrives_does_not_hold_the_end_up(
    start: Callable[..., Server], tmp_path: Path, request_bytes: bytes
) -> None:
    with (
        start(tmp_path, "--tcp-port", "0") as server,
        closing(socket.create_connection(("127.0.0.1", server.port))) as c,
    ):
        c.sendall(request_bytes)
        assert server.call("GET", "/") == (200, "Hello, World!")  # by now the first one is being read

        started = time.monotonic()
        assert server.terminate() == 0

    assert time.monotonic() - started < 3.8
    assert not server.database.with_name(server.database.name + "-wal").exists()  # all was closed in order


@pytest.mark.parametrize(
    ("method", "path", "length"), [("GET", "/", 13), ("HEAD", "/", 13), ("GET", "/2/highscorelist", 0)]
)
def test_every_answer_says_its_length_once(server: Server, method: str, path: str, length: int) -> None:
    with closing(server.connect()) as connection:
        connection.request(method, path)
        response = connection.getresponse()

        assert response.headers.get_all("Content-Length") == [str(length)]
        assert len(response.read()) == (length if method == "GET" else 0)


@pytest.mark.parametrize(("call", "status"), [(b"POST /nothing", b"404"), (b"POST /2/highscorelist", b"405")])
def test_granian_has_path_and_method_judged_before_the_body_is_there(
    tmp_path: Path, call: bytes, status: bytes
) -> None:
    pytest.importorskip("granian", reason="granian is not installed")
    with (
        Server(tmp_path, http_server="granian") as server,
        closing(socket.create_connection(("127.0.0.1", server.port), 5)) as client,
    ):
        client.sendall(call + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n15")

        assert client.recv(1000).split(b" ")[1] == status


def test_a_thousand_idle_connections_do_not_stop_a_good_one(server: Server) -> None:
    with ExitStack() as stack:
        with closing(server.connect()) as good:
            call(good, "GET", "/")
            for _ in range(950):
                stack.enter_context(closing(socket.create_connection(("127.0.0.1", server.port), 10)))

            assert call(good, "GET", "/") == (200, "Hello, World!")
        assert server.call("GET", "/") == (200, "Hello, World!")


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nX: ", b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"]
)
def test_requests_that_drip_are_cut_off_and_hold_nobody_up(
    start: Callable[..., Server], tmp_path: Path, head: bytes
) -> None:
    command = (sys.executable, "-c", IMPATIENT, "serve", "--port", "0", "--server", start.keywords["http_server"])
    with start(tmp_path, command=command) as server, ExitStack() as stack:
        _, key = server.call("GET", "/7/")
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(30)]
        gone = [threading.Event() for _ in clients]
        for client, event in zip(clients, gone, strict=True):
            client.sendall(head)
            threading.Thread(target=drip, args=(client, event)).start()

        assert server.call("GET", "/") == (200, "Hello, World!")
        assert server.call("POST", f"/2/score?sessionkey={key}", "15") == (200, "")
        assert all(event.wait(8) for event in gone)


def drip(client: socket.socket, gone: threading.Event) -> None:
    """Sends a byte now and then, until the server has had enough."""
    client.settimeout(0.05)
    while True:
        try:
            client.sendall(b"x")
            if client.recv(1000) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    gone.set()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
        (b"GET /4711/# HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /\xff\xfe%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (
            b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n15", b"401"),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 0000000002\r\n\r\n15", b"401"),
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1500\r\n\r\n" + b"1" * 1500, b"413"),
        (b"HEAD /2/highscorelist HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"HEAD /2/login HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"\x00\x01\x02\r\n\r\n", b"400"),
    ],
)
def test_raw_requests_get_their_status(server: Server, request_bytes: bytes, status: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(request_bytes)

        assert client.recv(1000).split(b" ")[1] == status


def test_a_body_that_breaks_off_is_no_score(server: Server) -> None:
    _, key = server.call("GET", "/7/")
    for head in (b"Content-Length: 4\r\n\r\n15", b"Transfer-Encoding: chunked\r\n\r\n4\r\n15"):
        with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
            client.sendall(b"POST /2/score?sessionkey=" + key.encode() + b" HTTP/1.1\r\nHost: x\r\n" + head)

    assert server.call("GET", "/2/highscorelist") == (200, "")


def test_no_session_key_is_in_the_log_or_beside_the_database(server: Server) -> None:
    _, key = server.call("GET", "/7/")
    server.call("POST", f"/2/score?sessionkey={key}", "1")
    server.call("POST", f"/2/score&sessionkey={key}", "1")

    server.terminate()

    assert "POST /2/score 200" in server.log
    for path in server.folder.iterdir():
        assert key.encode() not in path.read_bytes()


def test_a_whole_game_runs_over_json_and_http_sees_it(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--tcp-port", "0") as server:
        key = server.ask(method="GET", path="/4711/login")["data"]

        posted = server.ask(method="POST", path=f"/2/score?sessionkey={key}", data=1500)
        listed = server.ask(method="GET", path="/2/highscorelist")

        assert posted == {"code": 200, "message": "OK", "data": None}
        assert listed == {"code": 200, "message": "OK", "data": "4711=1500"}
        assert server.call("GET", "/2/highscorelist") == (200, "4711=1500")
        assert server.ask(method="GET", path="/3/highscorelist")["data"] is None
        assert server.ask(method="GET", path="/4711/#")["code"] == 200
        assert server.ask(method="POST", path="/2/score", data="x", headers={"Authorization": f"Bearer {key}"}) == {
            "code": 400,
            "message": "Bad Request",
            "data": "score must be a whole number from 0 to 2147483647, in at most ten decimal digits",
        }
        assert server.terminate() == 0
        assert key not in server.log


def test_the_player_s_own_view_comes_over_both_transports(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--tcp-port", "0") as server:
        key = server.ask(method="GET", path="/4711/login")["data"]
        as_json = {"Accept": "application/json"}
        bearer = {"Authorization": f"Bearer {key}", **as_json}

        posted = server.ask(method="POST", path="/2/score", data=1500, headers=bearer)
        everyone = ",".join(str(2147483647 - each) for each in range(999))
        listed = server.ask(method="GET", path=f"/2/highscorelist?users={everyone},4711", headers=as_json)
        with closing(server.connect()) as connection:
            connection.request("GET", f"/2/highscorelist?users={everyone},4711", headers=as_json)
            over_http = json.load(connection.getresponse())

        assert posted["data"] == {"improved": True, "best": 1500, "previous": None, "rank": 1, "players": 1}
        assert listed["data"] == over_http
        assert [entry["user"] for entry in over_http["entries"]] == [4711]
        assert server.ask(method="GET", path="/2/rank/4711")["data"] == "1"
        assert server.ask(method="GET", path="/2/rank/1", headers=as_json) == {
            "code": 404,
            "message": "Not Found",
            "data": {"error": {"code": "no_score", "message": "this user has no score on this level yet"}},
        }
        assert run(tmp_path, "check").stdout.startswith("all is well")


def test_the_gateway_alone_serves_any_application(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scoresvc", "jsontcp", "--port", "0", "tests.listapp:app"]

    with Server(tmp_path, command=command, environ={"PYTHONPATH": str(ROOT)}) as server:
        assert server.ask(method="GET", path="/") == {"code": 200, "message": "OK", "data": "Hello, World!"}
        assert server.terminate() == 0


def test_an_application_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_refused_in_one_line(run(tmp_path, "jsontcp", "--port", "0", "nowhere:app"), "nowhere")


def test_one_session_per_user_on_the_command_line(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--one-session-per-user") as server:
        (_, old), (_, new) = server.call("GET", "/7/"), server.call("GET", "/7/")

        assert server.call("POST", f"/2/score?sessionkey={old}", "1")[0] == 401
        assert server.call("POST", f"/2/score?sessionkey={new}", "1")[0] == 200


def test_the_log_goes_to_the_file_that_is_named(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--logfile", "service.log") as server:
        server.call("GET", "/")
        server.terminate()

    assert "GET / 200" in (tmp_path / "service.log").read_text()


def test_a_port_in_use_is_refused(server: Server, tmp_path: Path) -> None:
    result = run(tmp_path, "serve", "--port", str(server.port), "--database", "other.sqlite3")

    assert_refused_in_one_line(result, f"127.0.0.1:{server.port}", "Address already in use")


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


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    for version in (0, 1):
        path = tmp_path / f"{version}.sqlite3"
        with closing(stdlib_sqlite3.connect(path)) as connection:
            connection.executescript(f"CREATE TABLE notes (text); PRAGMA user_version = {version}")

        assert_refused_in_one_line(run(tmp_path, "serve", "--port", "0", "--database", path.name), "another program")
        with closing(stdlib_sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_a_signal_right_after_the_startup_line_ends_the_service_well(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with start(tmp_path) as server:
            assert server.terminate(number) == 0


def test_a_second_signal_changes_nothing(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            server.call("GET", "/")  # by now the other one is being read
            for _ in range(3):
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.05)
        assert server.process.wait(15) == 0
        assert "Traceback" not in server.log


def test_a_database_that_is_moved_away_ends_the_service_and_takes_no_false_promise_along(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    with start(tmp_path) as server:
        _, key = server.call("GET", "/7/")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1")[0] == 200
        server.database.rename(tmp_path / "away.sqlite3")

        assert server.call("POST", f"/2/score?sessionkey={key}", "2")[0] == 503
        assert server.process.wait(15) == 1


def test_a_wrong_option_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[server]\nprot = 1\n")

    assert_refused_in_one_line(run(tmp_path, "serve"), "config.ini", "[server] prot = 1")


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first, second = run(tmp_path, "migrate"), run(tmp_path, "migrate")

    assert "applied 0001_scores" in first.stdout
    assert "up to date" in second.stdout


@pytest.mark.skipif(bears_several_writers(), reason="this SQLite bears several writers")
def test_several_processes_are_refused_where_sqlite_cannot_bear_them(tmp_path: Path) -> None:
    result = run(tmp_path, "serve", "--port", "0", "--processes", "2")

    assert_refused_in_one_line(result, "processes = 2", SQLITE_VERSION)


@pytest.mark.skipif(not bears_several_writers(), reason="this SQLite cannot bear several writers")
def test_several_processes_share_the_port_and_end_together(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--processes", "2") as server:
        posts = Posts(server, threads=8)
        posts.wait_for(200)
        started = time.monotonic()
        status = server.terminate()
        seconds = time.monotonic() - started
        posts.join()

    assert status == 0
    assert seconds < 5
    assert posts.refused == []
    assert_nothing_lost(server.database, posts)


@pytest.mark.skipif(not bears_several_writers(), reason="this SQLite cannot bear several writers")
def test_when_the_first_process_is_killed_the_others_end(start: Callable[..., Server], tmp_path: Path) -> None:
    with start(tmp_path, "--processes", "2") as server:
        server.kill()

        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
            except OSError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("somebody still listens")


def test_waitress_serves_the_application_by_its_name(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", "scoresvc:app"]

    with Server(tmp_path, command=command) as server:
        _, key = server.call("GET", "/4711/")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1500") == (200, "")
        assert server.call("GET", "/2/highscorelist") == (200, "4711=1500")


def test_waitress_says_in_one_line_why_the_service_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[sever]\n")
    command = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:0", "scoresvc:app"]

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)

    assert_refused_in_one_line(result, "config.ini", "[sever]")


def test_importing_the_package_does_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import scoresvc"], cwd=tmp_path, check=True, timeout=20)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_after_a_failed_fsync_the_process_ends_and_nothing_false_was_acknowledged(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    failing = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync")
    inject = ("-e", "inject=fsync,fdatasync:error=EIO:when=40+")
    with Server(tmp_path, within=(*failing, *inject)) as server:
        posts = Posts(server)
        posts.join()

        assert server.process.wait(15) == 1

    with start(tmp_path) as server:
        server.terminate()
    assert_nothing_lost(server.database, posts)
    assert set(posts.refused) <= {503}
