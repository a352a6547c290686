"""Finds the address that a client is counted by.

Theory of operation: every proxy adds the address that it was called from to a header, behind what was there already.
So only what proxies of ours have added is true: from the end of the list, over addresses of our proxies, the first one
that is none of them is the client's. All before it may be invented. Both headers are read, X-Forwarded-For and
Forwarded (RFC 7239): a proxy sets one and passes the other on, and nobody here knows which. Where they disagree, one of
them is invented, and the client is counted by the address of the proxy.

Where no proxy is known, a header is believed by nobody. But a request that comes from this machine or from a private
network with such a header has come through a proxy, which all players share: it has no address. Whoever can send such
a request without a proxy is inside.

Addresses of IPv6 count by their network of 64 bits, which is what one household gets.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

ADDRESSES_CACHED = 4096
ADDRESS_CHARACTERS_MAX = 64

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Of this machine, and of private networks (RFC 1918, RFC 4193): a peer there may be a proxy.
INSIDE = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)

log = logging.getLogger("scoresvc.api")

_FORWARDED_FOR = re.compile(r'(?:^|[;\s])for=("?)([^";,\s]*)\1', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")


class ClientAddresses:
    """Knows the proxies in front: addresses or networks, such as 10.0.0.0/8."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ip_network(proxy) for proxy in proxies]
        self._is_warned = False

    def find(self, peer: str, headers: Mapping[str, str]) -> str | None:
        """Returns what a request is counted by, which came from `peer`; None where all players share the address."""
        chains = [_read_list(headers["x-forwarded-for"])] if "x-forwarded-for" in headers else []
        if "forwarded" in headers:
            chains.append(_read_forwarded(headers["forwarded"]))
        address = read_address(peer)
        if not chains:
            return count_by(address) if address else None
        if not self._proxies and (address is None or _is_in(INSIDE, address)):
            self._warn(peer)
            return None
        if address is None or not _is_in(self._proxies, address):
            return count_by(address) if address else None
        clients = {self._client_in(chain) for chain in chains}
        (client, *others) = clients
        return count_by(address if others or client is None else client)

    def _client_in(self, chain: Sequence[str]) -> Address | None:
        """Returns the last address that is no proxy of ours; None where what a proxy wrote is no address."""
        address = None
        for text in reversed(chain):
            address = read_address(text)
            if address is None or not _is_in(self._proxies, address):
                break
        return address

    def _warn(self, peer: str) -> None:
        if not self._is_warned:
            self._is_warned = True
            log.warning(
                "requests come through a proxy at %s, which is not in [http] proxies: all players have its address, so"
                " limits by address are off for them",
                peer or "a Unix socket",
            )


def _is_in(networks: Sequence[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def _read_list(field: str) -> list[str]:
    return [each.strip() for each in field.split(",")]


def _read_forwarded(field: str) -> list[str]:
    """Returns the `for` of each proxy, empty where it has none. A comma in quotes is in no address."""
    matches = [_FORWARDED_FOR.search(element) for element in field.split(",")]
    return [match[2] if match else "" for match in matches]


def read_address(text: str) -> Address | None:
    """Returns an address that may have brackets and a port; None where it is none."""
    return _read_cached(text) if len(text) <= ADDRESS_CHARACTERS_MAX else None


@lru_cache(ADDRESSES_CACHED)
def _read_cached(text: str) -> Address | None:
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(((match[1] or match[2] or "") if match else text).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def count_by(address: Address) -> str:
    """Returns the address, or the network of one of IPv6."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
