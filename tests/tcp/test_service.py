from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoresvc import config
from scoresvc.api.dispatch import Api
from scoresvc.config import Config
from scoresvc.http.wsgi import Application
from scoresvc.storage import open_store
from scoresvc.tcp import gateway, service
from scoresvc.tcp.frames import Answer, parse_request

Ask = Callable[..., dict[str, Any]]

ADDRESS = ("127.0.0.1", 50_000)
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
    st.sampled_from(["Accept", "AUTHORIZATION", "Content-Type", "X-Forwarded-For"]),
    st.sampled_from(["application/json", " Bearer KEY ", "bearer  KEY", "Bearer KEY,KEY", "Basic KEY", "é", "", "*/*"]),
)
data: st.SearchStrategy[object] = st.sampled_from(
    [None, 1500, "1500", " 1500\n", "é", "", True, [], {}, 2**31, 1.5, "1" * 1024, "1" * 1025]
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    path = tmp_path_factory.mktemp("service") / "scores.sqlite3"
    with closing(open_store(Config(database=config.DatabaseOptions(path=path)))) as store:
        yield Api(store)


@pytest.fixture(scope="module")
def ask(api: Api) -> Ask:
    """Returns the response to one request."""
    answer = service.make_answer(api)

    def ask(method: str, path: str, **members: Any) -> dict[str, Any]:
        request = parse_request(json.dumps({"method": method, "path": path} | members).encode())
        response: dict[str, Any] = json.loads(answer(request, ADDRESS).to_bytes())
        return response

    return ask


@pytest.fixture(scope="module")
def key(ask: Ask) -> str:
    """A session key of user 4711, who has a score of 1500 on level 2."""
    key: str = ask("GET", "/4711/login")["data"]
    ask("POST", f"/2/score?sessionkey={key}", data=1500)
    return key


@pytest.fixture(scope="module")
def answers(api: Api) -> Iterator[tuple[Answer, Answer]]:
    """The answer of the service itself, and of the service as a WSGI application."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield service.make_answer(api), gateway.make_answer(Application(api), listener)


@settings(max_examples=200, deadline=None)
@given(methods, paths, headers, data)
@example("POST", "/2/score", {"AUTHORIZATION": "Bearer KEY"}, 1500)
@example("POST", "/2/score", {"AUTHORIZATION": "Bearer KEY", "Accept": "application/json"}, "1500")
@example("POST", "/2/score?sessionkey=KEY", {}, "1" * 1025)
def test_a_response_has_the_same_bytes_as_through_wsgi(
    answers: tuple[Answer, Answer], key: str, method: str, path: str, headers: dict[str, str], data: object
) -> None:
    frame = json.dumps({"method": method, "path": path, "headers": headers, "data": data})
    request = parse_request(frame.replace("KEY", key).encode())

    directly, through_wsgi = [answer(request, ADDRESS).to_bytes() for answer in answers]

    assert directly == through_wsgi


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


def test_the_path_of_a_login_may_end_in_a_number_sign(ask: Ask) -> None:
    assert ask("GET", "/4711/#")["code"] == 200
