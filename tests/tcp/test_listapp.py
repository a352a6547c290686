from __future__ import annotations

import json
from wsgiref.validate import validator

import pytest

from tests.tcp.client import Address, make_frame, send
from tests.tcp.conftest import ServeApplication
from tests.tcp.listapp import ListApp


class Client:
    """Sends requests; returns the bytes of the responses."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def send(self, frame: bytes) -> bytes:
        return send(self._address, frame + b"\0")

    def ask(self, method: str, path: str, data: object = None) -> bytes:
        return send(self._address, make_frame(method, path, data=data))


def response(code: int, message: str, data: object = None) -> bytes:
    return json.dumps({"code": code, "message": message, "data": data}).encode()


@pytest.fixture
def client(serve_application: ServeApplication) -> Client:
    return Client(serve_application(validator(ListApp())))


def test_the_root_greets(client: Client) -> None:
    assert client.ask("GET", "/") == response(200, "OK", "Hello, World!")


@pytest.mark.parametrize("data", ["text", "é", 1, 1.5, True, [], {"a": [None]}, None])
def test_echo_returns_the_data(client: Client, data: object) -> None:
    assert client.ask("GET", "/echo", data) == response(200, "OK", data)


def test_the_list_is_empty_at_first(client: Client) -> None:
    assert client.ask("GET", "/list") == response(200, "OK", [])


def test_an_item_is_added(client: Client) -> None:
    assert client.ask("POST", "/item", "milk") == response(201, "Created")
    assert client.ask("GET", "/list") == response(200, "OK", ["milk"])


def test_an_item_is_replaced_in_its_place(client: Client) -> None:
    for item in ("milk", "bread"):
        client.ask("POST", "/item", item)

    assert client.ask("PUT", "/item", "milk,tea") == response(200, "OK")
    assert client.ask("GET", "/list") == response(200, "OK", ["tea", "bread"])


def test_an_item_is_removed(client: Client) -> None:
    client.ask("POST", "/item", "milk")

    assert client.ask("DELETE", "/item", "milk") == response(204, "No Content")
    assert client.ask("GET", "/list") == response(200, "OK", [])


@pytest.mark.parametrize(("method", "data"), [("PUT", "milk,tea"), ("DELETE", "milk")])
def test_an_item_that_is_not_there_is_not_found(client: Client, method: str, data: str) -> None:
    assert client.ask(method, "/item", data) == response(404, "Not Found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/item"), ("POST", "/"), ("DELETE", "/list"), ("GET", "/other"), ("PATCH", "/item"), ("get", "/")],
)
def test_another_path_or_method_is_a_bad_request(client: Client, method: str, path: str) -> None:
    assert client.ask(method, path) == response(400, "Bad Request")


def test_a_frame_that_is_not_json_is_unprocessable(client: Client) -> None:
    assert client.send(b"GET /") == response(422, "Unprocessable Entity")
