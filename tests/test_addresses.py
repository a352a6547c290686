from __future__ import annotations

import logging
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.addresses import ClientAddresses, count_by

PROXIES = ("10.0.0.0/8", "127.0.0.1", "fd00::/64")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("203.0.113.9,198.51.100.7,10.1.2.3 , 127.0.0.1", "198.51.100.7"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/64"),
        # What a proxy wrote is no address: the client is counted by the proxy's.
        ("unknown", "127.0.0.1"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("203.0.113.9, ", "127.0.0.1"),
        ("9" * 1000, "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy_of_ours(header: str, expected: str) -> None:
    addresses = ClientAddresses(PROXIES)

    assert addresses.find("127.0.0.1", {"x-forwarded-for": header}) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ("for=203.0.113.9, for=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
        ('For="[2001:db8:1:2::9]:4711"', "2001:db8:1:2::/64"),
        ("proto=https; for=198.51.100.7, for=10.0.0.2", "198.51.100.7"),
        ("for=_hidden", "127.0.0.1"),
        ("by=198.51.100.7", "127.0.0.1"),
    ],
)
def test_forwarded_is_read_by_the_same_rule(header: str, expected: str) -> None:
    assert ClientAddresses(PROXIES).find("127.0.0.1", {"forwarded": header}) == expected


def test_where_both_headers_disagree_the_client_is_counted_by_the_proxy() -> None:
    headers = {"x-forwarded-for": "198.51.100.7", "forwarded": "for=203.0.113.9"}

    assert ClientAddresses(PROXIES).find("10.0.0.1", headers) == "10.0.0.1"


def test_where_both_headers_agree_they_are_believed() -> None:
    headers = {"x-forwarded-for": "198.51.100.7", "forwarded": 'for="198.51.100.7:80"'}

    assert ClientAddresses(PROXIES).find("10.0.0.1", headers) == "198.51.100.7"


@pytest.mark.parametrize("proxies", [(), PROXIES])
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_a_header_that_no_proxy_of_ours_has_sent_changes_nothing(proxies: tuple[str, ...], header: str) -> None:
    headers = {header: "for=203.0.113.9"}

    assert ClientAddresses(proxies).find("198.51.100.7", headers) == "198.51.100.7"


@given(spoofed=st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=5))
def test_whatever_a_client_sends_it_is_counted_by_the_address_that_the_proxy_saw(spoofed: list[str]) -> None:
    header = ", ".join([*spoofed, "198.51.100.7"])

    assert ClientAddresses(PROXIES).find("10.0.0.1", {"x-forwarded-for": header}) == "198.51.100.7"


def test_without_a_header_a_client_is_counted_by_its_own_address() -> None:
    assert ClientAddresses(()).find("192.168.1.20", {}) == "192.168.1.20"
    assert ClientAddresses(PROXIES).find("198.51.100.7", {}) == "198.51.100.7"


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.1", "::1", ""])
def test_all_players_behind_an_unknown_proxy_have_no_address_and_the_log_says_so_once(
    peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    addresses = ClientAddresses(())

    with caplog.at_level(logging.WARNING):
        found = {addresses.find(peer, {"x-forwarded-for": f"198.51.100.{n}"}) for n in range(3)}

    assert found == {None}
    assert len(caplog.records) == 1
    assert "[http] proxies" in caplog.text


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    assert ClientAddresses(()).find("", {}) is None


def test_addresses_of_ipv6_count_by_64_bits() -> None:
    one, other, far = (count_by(ip_address(f"2001:db8:0:{end}")) for end in ("1::1", "1::2", "2::1"))

    assert one == other != far
