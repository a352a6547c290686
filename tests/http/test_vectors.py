"""Each odd request has one right answer, however it is cut into segments, and no second one."""

from __future__ import annotations

import pytest

from tests.http.serving import RunningServer
from tests.http.vectors import CANARY, CANARY_STATUS, VECTORS, Vector


@pytest.fixture(scope="module")
def session_key(server: RunningServer) -> bytes:
    (response,) = server.ask(b"GET /4711/login HTTP/1.0\r\n\r\n")
    return response.body


def expected(vector: Vector) -> list[int]:
    return [*vector.statuses, *([CANARY_STATUS] if vector.stays_open else [])]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_request_has_its_one_answer(server: RunningServer, session_key: bytes, vector: Vector) -> None:
    with server.connect() as client:
        client.send(vector.request.replace(b"KEY", session_key) + CANARY)

        responses = client.read_all(is_head=vector.request.startswith(b"HEAD"))

    assert [response.status for response in responses] == expected(vector)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_request_that_comes_byte_by_byte_has_the_same_answer(
    server: RunningServer, session_key: bytes, vector: Vector
) -> None:
    with server.connect() as client:
        client.send_slowly(vector.request.replace(b"KEY", session_key) + CANARY)

        responses = client.read_all(is_head=vector.request.startswith(b"HEAD"))

    assert [response.status for response in responses] == expected(vector)
