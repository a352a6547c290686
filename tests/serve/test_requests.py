"""What a running server does with requests, over both transports."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.check import find_faults
from tests.running import Server, call
from tests.serve.commands import serve_with_limit

AS_JSON = {"Accept": "application/json"}


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


@pytest.mark.parametrize(
    ("method", "path", "length"), [("GET", "/", 13), ("HEAD", "/", 13), ("GET", "/1/highscorelist", 0)]
)
def test_every_response_says_its_length_once(shared_server: Server, method: str, path: str, length: int) -> None:
    with closing(shared_server.connect()) as connection:
        connection.request(method, path)
        response = connection.getresponse()

        assert response.headers.get_all("Content-Length") == [str(length)]
        assert len(response.read()) == (length if method == "GET" else 0)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
        (b"GET /4711/# HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /\xff\xfe%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
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
def test_raw_requests_get_their_status(shared_server: Server, request_bytes: bytes, status: bytes) -> None:
    with closing(connect(shared_server)) as client:
        client.sendall(request_bytes)

        assert client.recv(1000).split(b" ")[1] == status


def test_an_unknown_path_or_a_wrong_method_is_answered_before_the_body_is_there(shared_server: Server) -> None:
    statuses = []
    for call_bytes in (b"POST /nothing", b"POST /2/highscorelist"):
        with closing(connect(shared_server)) as client:
            client.sendall(call_bytes + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n15")
            statuses.append(client.recv(1000).split(b" ")[1])

    assert statuses == [b"404", b"405"]


def test_a_body_that_breaks_off_is_no_score(shared_server: Server) -> None:
    _, key = shared_server.call("GET", "/7/")
    for head in (b"Content-Length: 4\r\n\r\n15", b"Transfer-Encoding: chunked\r\n\r\n4\r\n15"):
        with closing(connect(shared_server)) as client:
            client.sendall(b"POST /3/score?sessionkey=" + key.encode() + b" HTTP/1.1\r\nHost: x\r\n" + head)

    assert shared_server.call("GET", "/3/highscorelist") == (200, "")


def test_a_thousand_idle_connections_do_not_stop_a_good_one(shared_server: Server) -> None:
    with ExitStack() as stack:
        with closing(shared_server.connect()) as good:
            call(good, "GET", "/")
            for _ in range(950):
                stack.enter_context(closing(connect(shared_server)))

            assert call(good, "GET", "/") == (200, "Hello, World!")
        assert shared_server.call("GET", "/") == (200, "Hello, World!")


def test_slow_clients_are_disconnected_and_delay_nobody(processes: int, tmp_path: Path) -> None:
    heads = (b"GET / HTTP/1.1\r\nX: ", b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    with (
        Server(tmp_path, command=serve_with_limit(processes, "REQUEST_TIMEOUT", 0.5)) as server,
        ExitStack() as stack,
    ):
        _, key = server.call("GET", "/7/")
        clients = [(stack.enter_context(connect(server)), threading.Event()) for _ in range(40)]
        for number, (client, disconnected) in enumerate(clients):
            client.sendall(heads[number % 2])
            threading.Thread(target=send_slowly, args=(client, disconnected)).start()

        assert server.call("GET", "/") == (200, "Hello, World!")
        assert server.call("POST", f"/2/score?sessionkey={key}", "15") == (200, "")
        assert all(disconnected.wait(8) for _, disconnected in clients)


def send_slowly(client: socket.socket, disconnected: threading.Event) -> None:
    """Sends a byte now and then, until the server disconnects."""
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
    disconnected.set()


def test_a_whole_game_runs_over_json_and_http_sees_it(shared_server: Server) -> None:
    key = shared_server.ask(method="GET", path="/4711/login")["data"]

    posted = shared_server.ask(method="POST", path=f"/5/score?sessionkey={key}", data=1500)
    listed = shared_server.ask(method="GET", path="/5/highscorelist")

    assert posted == {"code": 200, "message": "OK", "data": None}
    assert listed == {"code": 200, "message": "OK", "data": "4711=1500"}
    assert shared_server.call("GET", "/5/highscorelist") == (200, "4711=1500")
    assert shared_server.ask(method="GET", path="/6/highscorelist")["data"] is None
    assert shared_server.ask(method="GET", path="/4711/#")["code"] == 200
    assert shared_server.ask(method="POST", path="/5/score", data="x", headers={"Authorization": f"Bearer {key}"}) == {
        "code": 400,
        "message": "Bad Request",
        "data": "score must be a whole number from 0 to 2147483647, in at most ten decimal digits; "
        'send 1500 alone, a form with score=1500, or JSON such as {"score": 1500}',
    }


def test_both_transports_give_a_player_the_same_view(shared_server: Server) -> None:
    key = shared_server.ask(method="GET", path="/4711/login")["data"]
    bearer = {"Authorization": f"Bearer {key}", **AS_JSON}
    users = ",".join(str(2147483647 - each) for each in range(999)) + ",4711"

    posted = shared_server.ask(method="POST", path="/4/score", data=1500, headers=bearer)
    over_tcp = shared_server.ask(method="GET", path=f"/4/highscorelist?users={users}", headers=AS_JSON)["data"]
    with closing(shared_server.connect()) as connection:
        connection.request("GET", f"/4/highscorelist?users={users}", headers=AS_JSON)
        over_http = json.load(connection.getresponse())

    assert posted["data"] == {"improved": True, "best": 1500, "previous": None, "rank": 1, "players": 1}
    assert over_tcp == over_http
    assert [entry["user"] for entry in over_http["entries"]] == [4711]
    assert shared_server.ask(method="GET", path="/4/rank/4711")["data"] == "1"
    assert shared_server.ask(method="GET", path="/4/rank/1", headers=AS_JSON) == {
        "code": 404,
        "message": "Not Found",
        "data": {"error": {"code": "no_score", "message": "this user has no score on this level yet"}},
    }
    assert list(find_faults(shared_server.database)) == []


def test_users_names_and_keys_go_over_json_over_tcp_too(shared_server: Server) -> None:
    new = shared_server.ask(method="POST", path="/new", data={"name": "Ann"}, headers={"Accept": "application/json"})
    user, secret = new["data"]["user"], new["data"]["secret"]

    login = shared_server.ask(method="GET", path=f"/{user}/login", headers={"Authorization": f"Bearer {secret}"})
    assert (new["code"], login["code"]) == (200, 200)
    assert shared_server.ask(method="GET", path=f"/{user}/login")["code"] == 401
    key = login["data"]
    named = shared_server.ask(method="PUT", path=f"/{user}/name?sessionkey={key}", data="Zoë")
    assert (named["code"], named["data"]) == (200, "Zoë")
    assert shared_server.ask(method="GET", path=f"/{user}/name")["data"] == "Zoë"
    post = {"score": 1500, "meta": "ship=red", "sessionkey": key}
    for _ in range(2):
        answer = shared_server.ask(method="POST", path="/616/score", data=post, headers={"Idempotency-Key": "tcp-1"})
        assert answer["code"] == 200
    reused = shared_server.ask(method="POST", path="/616/score", data={**post, "score": 1501, "id": "tcp-1"})
    assert reused["code"] == 422
    listed = shared_server.ask(method="GET", path="/616/highscorelist?meta=yes", headers={"Accept": "application/json"})
    assert [(each["name"], each["score"], each["meta"]) for each in listed["data"]["entries"]] == [
        ("Zoë", 1500, "ship=red")
    ]
    assert shared_server.ask(method="DELETE", path=f"/{user}/name?sessionkey={key}")["code"] == 200
    assert shared_server.ask(method="GET", path="/616/highscorelist?format=lines")["data"] == f"1\t{user}\t1500\t\n"
    claimed = shared_server.ask(method="POST", path=f"/{user}/claim?sessionkey={key}")
    assert claimed["code"] == 409
