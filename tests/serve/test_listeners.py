from __future__ import annotations

import resource
import socket
from contextlib import closing

import pytest

from scoresvc.errors import StartError
from scoresvc.limits import OPEN_FILES_MAX
from scoresvc.serve.listeners import address_of, listen, raise_open_files_limit


def test_port_0_takes_a_free_port() -> None:
    with closing(listen("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        host, _, port = address_of(listener).rpartition(":")

    assert host == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    with closing(listen("::1", 0)) as listener:
        assert address_of(listener) == f"[::1]:{listener.getsockname()[1]}"


def test_a_port_can_be_used_again_right_after_its_server_has_closed_a_connection() -> None:
    with closing(listen("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            listener.setblocking(True)
            listener.accept()[0].close()  # the side that closes first waits in TIME_WAIT
            assert client.recv(1) == b""

    with closing(listen(*address)) as listener:
        assert listener.getsockname() == address


def test_a_port_in_use_is_refused() -> None:
    with closing(listen("127.0.0.1", 0)) as listener:
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
