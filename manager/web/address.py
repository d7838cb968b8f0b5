"""Decide where `serve` may listen and which names lead there, and open the socket."""

from __future__ import annotations

import ipaddress
import socket

from manager.errors import ManagerError, UsageError
from manager.util import formatting

NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Of a request's Host. A web page can make any other name lead here, and would then read the answers."""


def require_loopback(host: str, port: int) -> None:
    """Raise UsageError for an address that other machines reach: there is no password and no TLS yet."""
    if host == "localhost":
        return
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UsageError(
            "`manager serve` listens on this machine only, not on {host}: keep 127.0.0.1, and from elsewhere"
            " use `ssh -L {port}:127.0.0.1:{port} THIS_MACHINE`",
            host=host,
            port=port,
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises ManagerError if the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise ManagerError(
            "cannot listen on {address}: {why}; choose another with --listen HOST:PORT",
            address=formatting.host_port(host, port),
            why=error.strerror or error,
        ) from error
    return opened


def name_of(host_header: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    name, bracket, _rest = host_header.partition("]")
    if bracket:
        return name.lstrip("[").lower()
    return host_header.partition(":")[0].lower()


def is_ours(host_header: str) -> bool:
    """Return whether a Host header names this machine's loopback, at any port: it may be forwarded by SSH."""
    return name_of(host_header) in NAMES
