from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoresvc import config
from scoresvc.api.dispatch import Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.http.wsgi import Application
from scoresvc.net.calling import Caller
from scoresvc.storage import open_store
from scoresvc.tcp.gateway import Gateway
from tests.tcp import client
from tests.tcp.client import Address
from tests.tcp.conftest import ServeApplication
from tests.tcp.listapp import ListApp
from tests.tcp.serving import EventLoop, Server, listen

Ask = Callable[..., dict[str, Any]]

AS_JSON = {"Accept": "application/json"}

methods = st.sampled_from(["GET", "POST", "PUT", "DELETE"])
paths = st.sampled_from(
    [
        "/",
        "/?a=b",
        "/2/score",
        "/2/score/",
        "/%32/score",
        "/2/score?sessionkey=KEY",
        "/2/score?sessionkey=KEY&sessionkey=KEY",
        "/2/score?sessionkey=K%45Y",
        "/2/score?sessionkey=",
        "/2/score?level=é",
        "/2/highscorelist",
        "/2/highscorelist?limit=1",
        "/2/highscorelist?limit=x%20y",
        "/2/highscorelist?users=4711,7",
        "/2/highscorelist?limit=1000",
        "/3/highscorelist",
        "/2/rank/4711",
        "/2/rank/7",
        "/2/around/4711?count=3",
        "/4711/scores",
        "/99999999999/highscorelist",
        "/é",
        "/%ff#",
    ]
)
headers = st.dictionaries(
    st.sampled_from(["Accept", "AUTHORIZATION", "Content-Type", "Content-Encoding", "X-Forwarded-For"]),
    st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "identity",
            " Bearer KEY ",
            "bearer  KEY",
            "Bearer KEY,KEY",
            "Basic KEY",
            "é",
            "",
            "*/*",
        ]
    ),
)
data: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        1500,
        "1500",
        " 1500\n",
        "é",
        "",
        True,
        [],
        {},
        {"score": 1500},
        "score=1500",
        2**31,
        1.5,
        "1" * 1024,
        "1" * 1025,
    ]
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    path = tmp_path_factory.mktemp("service") / "scores.sqlite3"
    with closing(open_store(Config(database=config.DatabaseOptions(path=path)), counted=NAMES)) as store:
        yield Api(store)


@pytest.fixture(scope="module")
def address(api: Api, loop: EventLoop) -> Iterator[Address]:
    """Where the service is, as `scoresvc serve` has it."""
    caller = Caller(api, 2)
    with Server(loop, caller.call) as server:
        yield server.address
    caller.close()


@pytest.fixture(scope="module")
def wsgi_address(api: Api, loop: EventLoop) -> Iterator[Address]:
    """Where the service is as a WSGI application."""
    listener = listen()
    gateway = Gateway(Application(api), listener, 2)
    with Server(loop, gateway.call, listener) as server:
        yield server.address
    gateway.close()


@pytest.fixture(scope="module")
def ask(address: Address) -> Ask:
    """Returns the response to one request."""
    return partial(client.ask, address)


@pytest.fixture(scope="module")
def key(ask: Ask) -> str:
    """A session key of user 4711, who has a score of 1500 on level 2."""
    key: str = ask("GET", "/4711/login")["data"]
    ask("POST", f"/2/score?sessionkey={key}", data=1500)
    return key


@settings(max_examples=200, deadline=None)
@given(methods, paths, headers, data)
@example("POST", "/2/score", {"AUTHORIZATION": "Bearer KEY"}, 1500)
@example("POST", "/2/score", {"AUTHORIZATION": "Bearer KEY", "Accept": "application/json"}, "1500")
@example("POST", "/2/score?sessionkey=KEY", {}, "1" * 1025)
def test_a_response_has_the_same_bytes_as_through_wsgi(
    address: Address,
    wsgi_address: Address,
    key: str,
    method: str,
    path: str,
    headers: dict[str, str],
    data: object,
) -> None:
    frame = client.make_frame(method, path, headers=headers, data=data).replace(b"KEY", key.encode())

    assert client.send(address, frame) == client.send(wsgi_address, frame)


def test_a_plain_answer_is_text(ask: Ask, key: str) -> None:
    assert ask("GET", "/2/highscorelist") == {"code": 200, "message": "OK", "data": "4711=1500"}


def test_an_empty_answer_is_null(ask: Ask) -> None:
    assert ask("GET", "/3/highscorelist") == {"code": 200, "message": "OK", "data": None}


def test_a_json_answer_is_a_value(ask: Ask, key: str) -> None:
    response = ask("POST", "/2/score", data=7, headers={"Authorization": f"Bearer {key}", **AS_JSON})

    assert response["data"] == {"improved": False, "best": 1500, "previous": 1500, "rank": 1, "players": 1}


def test_a_refusal_has_its_status_and_its_sentence(ask: Ask) -> None:
    assert ask("GET", "/2/rank/7") == {
        "code": 404,
        "message": "Not Found",
        "data": "this user has no score on this level yet",
    }


@pytest.mark.parametrize(("data", "code"), [(None, 400), ("x", 400), ("1" * 1024, 400), ("1" * 1025, 413), (15, 401)])
def test_a_body_is_a_score_of_at_most_1_kib(ask: Ask, data: object, code: int) -> None:
    assert ask("POST", "/2/score", data=data)["code"] == code


@pytest.mark.parametrize(("level", "number", "score"), [(4, b"1700.0", 1700), (5, b"17e2", 1700), (6, b"0.0", 0)])
def test_a_score_may_have_a_fraction_of_zero(
    address: Address, ask: Ask, key: str, level: int, number: bytes, score: int
) -> None:
    frame = client.make_frame("POST", f"/{level}/score?sessionkey={key}", data="NUMBER")

    response = client.send(address, frame.replace(b'"NUMBER"', number))

    assert response == b'{"code": 200, "message": "OK", "data": null}'
    assert ask("GET", f"/{level}/highscorelist")["data"] == f"4711={score}"


@pytest.mark.parametrize("data", [1700.5, -1700.0, 2147483648.0, 12345678901.0, 1e300, [1700.0], True])
def test_no_other_fraction_is_a_score(ask: Ask, key: str, data: object) -> None:
    assert ask("POST", f"/7/score?sessionkey={key}", data=data)["code"] == 400
    assert ask("GET", "/7/highscorelist")["data"] is None


@pytest.mark.parametrize(
    ("level", "data"), [(8, {"score": 1700.0}), (9, {"score": "1700", "level": 2}), (10, "1700.0"), (11, '"1700"')]
)
def test_a_score_may_be_an_object_or_text(ask: Ask, key: str, level: int, data: object) -> None:
    assert ask("POST", f"/{level}/score?sessionkey={key}", data=data)["code"] == 200
    assert ask("GET", f"/{level}/highscorelist")["data"] == "4711=1700"


def test_the_key_may_be_in_the_data(ask: Ask, key: str) -> None:
    assert ask("POST", "/12/score", data={"score": 1700, "sessionkey": key})["code"] == 200
    assert ask("POST", f"/12/score?sessionkey={key}", data={"score": 1800, "sessionkey": key})["code"] == 400
    assert ask("GET", "/12/highscorelist")["data"] == "4711=1700"


def test_a_content_type_in_the_headers_counts(ask: Ask, key: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert ask("POST", "/13/score", data=f"score=1700&sessionkey={key}", headers=form)["code"] == 200
    assert ask("POST", "/13/score", data="1800", headers={**form, "Content-Encoding": "gzip"})["code"] == 415


def test_a_fraction_of_zero_reaches_another_application_as_it_came(serve_application: ServeApplication) -> None:
    address = serve_application(ListApp())

    response = client.send(address, client.make_frame("GET", "/echo", data=1700.0))

    assert response == b'{"code": 200, "message": "OK", "data": 1700.0}'


def test_the_path_of_a_login_may_end_in_a_number_sign(ask: Ask) -> None:
    assert ask("GET", "/4711/#")["code"] == 200
