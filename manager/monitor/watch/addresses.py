"""Resolve the addresses of alerts (apprise's URLs). They are secrets: only a masked form is ever shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from manager.config.variables import UnsetVariable, expand
from manager.typed import NamedTuple

WITH_HOST = frozenset(
    {
        "form",
        "forms",
        "gotify",
        "gotifys",
        "http",
        "https",
        "json",
        "jsons",
        "mailto",
        "mailtos",
        "mmost",
        "mmosts",
        "xml",
        "xmls",
    }
)
"""Schemes whose host part is a host.

In `tgram://`, `discord://`, `slack://` or `ntfy://` it is a token.
"""


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
NO_PROXY: Mapping[str, str] = MappingProxyType({})


class Address(NamedTuple):
    """Hold one of `alerts.urls`: its reference in the settings, and the variable's value, empty if unset.

    `environ`: the proxies from .env or the environment, which a service does not inherit from a shell.
    """

    reference: str
    url: str
    environ: Mapping[str, str] = NO_PROXY

    @property
    def shown(self) -> str:
        """Return `mailto://mail.example` or `tgram://…`: scheme, and host if it is one; the reference if
        unset.
        """
        return masked(self.url) if self.url else self.reference


def resolve(references: Sequence[str], variables: Mapping[str, str]) -> list[Address]:
    """Return the addresses in the settings."""
    proxies = {name: value for name, value in variables.items() if name.upper() in PROXIES and value}
    resolved = []
    for reference in references:
        try:
            resolved.append(Address(reference, expand(reference.strip(), variables).strip(), proxies))
        except UnsetVariable:
            resolved.append(Address(reference, ""))
    return resolved


def masked(url: str) -> str:
    """Return scheme and host, without anything secret."""
    scheme, colon, _rest = url.partition("://")
    if not colon or not scheme.isascii() or not scheme.replace("+", "").isalnum() or len(scheme) > 20:
        return "…"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return f"{scheme}://{host}" if scheme.lower() in WITH_HOST and host else f"{scheme}://…"
