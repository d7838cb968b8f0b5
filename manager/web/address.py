"""Decide which addresses need what, which names of a request's Host lead here, and whose request it is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from manager.typed import NamedTuple

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Of a request's Host. A web page can make any other name lead here, and would then read the answers."""

ID = "{id}"
LOOPBACK_BOTS = "{id}.localhost"
"""Every browser takes these names for its own machine, without asking a name server."""
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
"""A Host header as browsers send it: no userinfo, no zone of an IPv6 address, no empty port."""
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")


class Reach(NamedTuple):
    """Hold where the page is reached from. `names`: further names of its address, in lower case.

    `bot_origin`: the origin of each bot's own page, with {id}; empty where there is none.
    """

    is_loopback: bool = True
    scheme: str = "http"
    names: frozenset[str] = frozenset()
    proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    bot_origin: str = ""

    def is_ours(self, host_header: str) -> bool:
        """Return whether a Host header names this server, at any port: it may be forwarded by SSH.

        Beyond loopback an address in digits is ours as well: only a name can be made to lead elsewhere.
        """
        name = name_of(host_header)
        if name in LOOPBACK_NAMES or name in self.names:
            return True
        return not self.is_loopback and ip_of(name) is not None

    def bot_of(self, host_header: str) -> str | None:
        """Return the bot whose own page a Host header names, as its name has it: in lower case."""
        name = name_of(host_header)
        label, dot, parent = name.partition(".")
        if not self.bot_origin or name in self.names or ip_of(name) is not None:
            return None
        is_bots = bool(dot) and parent == name_of(self.bot_origin.partition(ID + ".")[2])
        return label if is_bots and LABEL.fullmatch(label) else None

    def origin_of_bot(self, instance: str, host_header: str) -> str | None:
        """Return the origin of a bot's own page, for a browser that has the fleet's at `host_header`.

        None where there is none, or the id cannot be a part of a host's name.
        """
        if not self.bot_origin or not LABEL.fullmatch(instance.lower()):
            return None
        origin = self.bot_origin.replace(ID, instance.lower())
        port = host_header.rpartition("]")[2].partition(":")[2]
        # Loopback may be forwarded to another port; elsewhere the person has said the whole origin.
        return f"{origin}:{port}" if self.is_loopback and port and origin.count(":") == 1 else origin

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
    """Return the name in a Host header, without port and brackets; empty for one that is malformed."""
    match = HOST.fullmatch(host_header)
    if match is None or (match[3] is not None and not 0 < int(match[3]) < 65536):
        return ""
    return (match[1] or match[2]).lower()
