"""Check where `manager serve` shall listen, and what that address needs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from manager.errors import ManagerError, UsageError
from manager.typed import NamedTuple
from manager.util import formatting
from manager.web import address
from manager.web.access import Access

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8800


class Options(NamedTuple):
    """Hold the options of `serve`. `listen`: None for the usual port, or the next one that is free."""

    listen: tuple[str, int] | None = None
    names: Sequence[str] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: Sequence[str] = ()
    bot_origin: str = ""

    @property
    def host(self) -> str:
        """Return the address to listen on."""
        return self.listen[0] if self.listen else DEFAULT_HOST

    @property
    def is_default(self) -> bool:
        """Return whether nothing was chosen."""
        return self == Options()

    @property
    def scheme(self) -> str:
        """Return what browsers speak: a reverse proxy speaks TLS with them."""
        return "https" if self.tls_cert or self.behind_proxy else "http"

    @property
    def is_loopback(self) -> bool:
        """Return whether only browsers of this machine reach it, or those that SSH forwards."""
        return address.is_loopback(self.host) and not self.behind_proxy

    @property
    def origin_of_bots(self) -> str:
        """Return the origin of each bot's own page, with {id}; empty where there is none."""
        if self.bot_origin:
            return self.bot_origin.lower()
        return f"{self.scheme}://{address.LOOPBACK_BOTS}" if self.is_loopback else ""

    @property
    def tls(self) -> list[str]:
        """Return the files of certificate and key; none without TLS."""
        return [str(self.tls_cert), str(self.tls_key)] if self.tls_cert and self.tls_key else []

    def words(self) -> list[str]:
        """Return them as a command line has them."""
        words = ["--listen", formatting.host_port(*self.listen)] if self.listen else []
        for name in self.names:
            words += ["--name", name]
        if self.tls:
            words += ["--tls-cert", self.tls[0], "--tls-key", self.tls[1]]
        for proxy in self.behind_proxy:
            words += ["--behind-proxy", proxy]
        words += ["--bot-origin", self.bot_origin] if self.bot_origin else []
        return words

    def url(self, port: int) -> str:
        """Return the address for a browser: by its first name, where it has one."""
        if self.behind_proxy and self.names:
            return f"https://{self.names[0]}"
        host = self.names[0] if self.names else self.host
        return f"{self.scheme}://{formatting.host_port(host, port)}"


def require_allowed(options: Options, access: Access) -> None:
    """Raise UsageError, ManagerError: an address that other machines reach needs a password, and TLS."""
    if bool(options.tls_cert) != bool(options.tls_key):
        raise UsageError("--tls-cert and --tls-key belong together")
    if options.tls_cert and options.behind_proxy:
        raise UsageError("--behind-proxy: the reverse proxy has the certificate; leave --tls-cert away")
    for network in options.behind_proxy:
        _require_network(network)
    if options.behind_proxy and not options.names:
        raise UsageError("--behind-proxy needs --name: the name of the page for browsers")
    if options.bot_origin:
        _require_bot_origin(options)
    is_reached = not options.is_loopback
    if is_reached and not (options.tls_cert or options.behind_proxy):
        raise UsageError(
            "{host} can be reached from other machines, and needs TLS: give --tls-cert and --tls-key, or"
            " --behind-proxy; or keep 127.0.0.1, and from elsewhere use"
            " `ssh -L {port}:127.0.0.1:{port} THIS_MACHINE`",
            host=options.host,
            port=options.listen[1] if options.listen else DEFAULT_PORT,
        )
    if is_reached and not access.passwords:
        raise ManagerError(
            "{host} can be reached from other machines, and needs a password: set one with"
            " `manager serve --set-password`",
            host=options.host,
        )
    for file in (options.tls_cert, options.tls_key):
        if file is not None and not file.is_file():
            raise ManagerError("{path}: does not exist", path=file)


def _require_bot_origin(options: Options) -> None:
    pattern = rf"{options.scheme}://\{{id\}}((\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+)(:[0-9]{{1,5}})?"
    match = re.fullmatch(pattern, options.bot_origin.lower())
    if match is None:
        raise UsageError(
            "--bot-origin {text}: not an origin with the bot's id as the first part of its name, such as"
            " {scheme}://{{id}}.bots.example",
            text=options.bot_origin,
            scheme=options.scheme,
        )
    for name in options.names:
        if f".{name.lower()}".endswith(match[1]) or match[1].endswith(f".{name.lower()}"):
            raise UsageError(
                "--bot-origin {text}: {name} is the fleet's page, and a bot's could put cookies there; give"
                " the bots a domain that is neither above nor below it",
                text=options.bot_origin,
                name=name,
            )


def _require_network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(
            "--behind-proxy {text}: not an address or network, such as 10.0.0.5 or 10.0.0.0/24", text=text
        ) from None
