"""Operators act while the service runs, in one process and in several."""

from __future__ import annotations

import socket
import time

from scoresvc.actions import BanUser, EndBan, RemoveScore
from scoresvc.config import Config, DatabaseOptions
from scoresvc.storage import open_admin
from scoresvc.storage.sqlite.control_socket import control_path
from tests.running import Server

FRESH_WITHIN = 1.0  # seconds


def wait_for_list(server: Server, text: str) -> None:
    until = time.monotonic() + FRESH_WITHIN
    while server.call("GET", "/1/highscorelist") != (200, text):
        assert time.monotonic() < until


def test_what_a_command_does_shows_within_a_second_in_every_process(server: Server) -> None:
    _, key = server.call("GET", "/7/login")
    for score in (100, 999):
        assert server.call("POST", f"/1/score?sessionkey={key}", str(score))[0] == 200
    wait_for_list(server, "7=999")

    with open_admin(Config(database=DatabaseOptions(path=server.database))) as admin:
        assert admin.perform("shell", RemoveScore(1, 7, 0)) is not None
        wait_for_list(server, "7=100")
        assert admin.perform("shell", BanUser(7)) is not None
        wait_for_list(server, "")
        assert server.call("GET", "/7/login")[0] == 403
        assert server.call("POST", f"/1/score?sessionkey={key}", "5")[0] == 403
        assert admin.perform("shell", EndBan(7)) is not None
        wait_for_list(server, "7=100")

    assert server.terminate() == 0
    assert not control_path(server.database).exists()


def test_a_command_that_is_connected_keeps_no_service_from_ending(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as command:
        command.connect(str(control_path(server.database)))
        command.sendall(b"\0\0\0\3\xc1\xc1\xc1")
        assert command.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as another:
            another.connect(str(control_path(server.database)))

            assert server.terminate() == 0
