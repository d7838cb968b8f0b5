"""Decide which addresses need what, which names of a request's Host lead here, and whose request it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Of a request's Host. A web page can make any other name lead here, and would then read the answers."""


class Reach(NamedTuple):
    """From where the page is reached. `names`: further names of its address, in lower case."""

    is_loopback: bool = True
    scheme: str = "http"
    names: frozenset[str] = frozenset()
    proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()

    def is_ours(self, host_header: str) -> bool:
        """Return whether a Host header names this server, at any port: it may be forwarded by SSH.

        Beyond loopback an address in digits is ours as well: only a name can be made to lead elsewhere.
        """
        name = name_of(host_header)
        if name in LOOPBACK_NAMES or name in self.names:
            return True
        return not self.is_loopback and ip_of(name) is not None

    def is_proxy(self, peer: str) -> bool:
        """Return whether a connection comes from a named reverse proxy."""
        address = ip_of(peer)
        return address is not None and any(address in network for network in self.proxies)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address to listen on."""
    address = ip_of(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def ip_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address in digits; None for anything else. IPv4 within IPv6 is IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def name_of(host_header: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    name, bracket, _rest = host_header.partition("]")
    if bracket:
        return name.lstrip("[").lower()
    return host_header.partition(":")[0].lower()
