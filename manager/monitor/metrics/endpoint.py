"""Serve the latest look over HTTP for Prometheus. No scrape ever looks at the fleet."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app
from prometheus_client.registry import Collector

from manager.errors import ManagerError

REQUEST_WITHIN_S = 10.0
PATH = "/metrics"

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


class _Server(ThreadingWSGIServer):
    daemon_threads = True
    request_queue_size = 32


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_WITHIN_S

    def log_message(self, *_: object) -> None:
        """Log nothing: a scrape every fifteen seconds is no news."""


class Endpoint:
    """Serve one page by HTTP on an address of ours."""

    def __init__(self, address: tuple[str, int], collector: Collector) -> None:
        """Begin to listen. Raises ManagerError if the address is taken, or not this machine's."""
        host, port = address
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        metrics: Callable[[Environ, StartResponse], Iterable[bytes]] = make_wsgi_app(registry)
        names = frozenset({"localhost", socket.gethostname().lower(), socket.getfqdn().lower()})

        def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            refusal = _refusal(environ, names)
            if refusal:
                start_response(refusal, [("Content-Type", "text/plain; charset=utf-8")])
                return [f"{refusal.partition(' ')[2]}\n".encode()]
            return metrics(environ, start_response)

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server_class = type("_ServerOfFamily", (_Server,), {"address_family": family})
        try:
            self._server: WSGIServer = make_server(host, port, app, server_class, _Handler)
        except OSError as error:
            raise ManagerError(
                "cannot listen on {address}: {why}; choose another with --metrics HOST:PORT",
                address=f"{host}:{port}",
                why=error.strerror or error,
            ) from error
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port it listens on: the kernel's choice if 0 was requested."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _refusal(environ: Environ, names: Collection[str]) -> str:
    if not is_trusted_host(environ.get("HTTP_HOST", ""), names):
        return "421 Misdirected Request: scrape by an IP address, or by this host's name"
    if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
        return "405 Method Not Allowed"
    return "" if environ.get("PATH_INFO") == PATH else f"404 Not Found: the metrics are at {PATH}"


def is_trusted_host(header: str, names: Collection[str]) -> bool:
    """Return whether a Host header is an address or one of this machine's names.

    A web page can make a domain of its own point here, and read the answer.
    """
    name = re.sub(r":\d*$", "", header).strip("[]").lower()
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
