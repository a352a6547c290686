from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scoresvc.errors import StartError
from scoresvc.limits import OPEN_FILES_MAX
from scoresvc.serve.listeners import address_of, listen, raise_open_files_limit


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    listeners = listen(host, port)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def test_port_0_takes_a_free_port() -> None:
    with listening("127.0.0.1", 0) as (listener,), socket.create_connection(listener.getsockname()):
        host, _, port = address_of(listener).rpartition(":")

    assert host == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    with listening("::1", 0) as (listener,):
        assert address_of(listener) == f"[::1]:{listener.getsockname()[1]}"


def test_a_name_is_served_on_all_its_addresses_by_one_port() -> None:
    with listening("localhost", 0) as listeners:
        addresses = {listener.getsockname()[:2] for listener in listeners}

        assert len({port for _, port in addresses}) == 1
        assert ("127.0.0.1", listeners[0].getsockname()[1]) in addresses


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no socket here is for both families")
def test_two_colons_serve_both_families() -> None:
    with listening("::", 0) as (listener,):
        port = listener.getsockname()[1]

        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as client:
                assert client.getpeername()[:2] == (host, port)


def test_a_port_can_be_used_again_right_after_its_server_has_closed_a_connection() -> None:
    with listening("127.0.0.1", 0) as (listener,):
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            listener.setblocking(True)
            listener.accept()[0].close()  # the side that closes first waits in TIME_WAIT
            assert client.recv(1) == b""

    with listening(*address) as (listener,):
        assert listener.getsockname() == address


def test_a_port_in_use_is_refused() -> None:
    with listening("127.0.0.1", 0) as (listener,):
        port = listener.getsockname()[1]
        with pytest.raises(StartError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$"):
            listen("127.0.0.1", port)


def test_a_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(StartError, match=r"^cannot listen on x+:0: "):
        listen("x" * 64, 0)


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        raise_open_files_limit()

        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert raised == (OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
