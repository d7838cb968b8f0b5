"""Where alerts go. The addresses (apprise's URLs) are secrets: only the masked form is ever shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from manager.config.variables import UnsetVariable, expand

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
"""Schemes whose host is one.

In `tgram://`, `discord://`, `slack://` or `ntfy://` a token stands in its place.
"""


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
NO_PROXY: Mapping[str, str] = MappingProxyType({})


class Address(NamedTuple):
    """One of `alerts.urls`: the reference as it stands in the settings, and what the variable holds; empty
    when unset.

    `environ`: the proxies that .env or the environment names, which a service does not inherit from anybody's
    shell.
    """

    reference: str
    url: str
    environ: Mapping[str, str] = NO_PROXY

    @property
    def shown(self) -> str:
        """`mailto://mail.example`, `tgram://…`: scheme, and host where it is one; the variable's name where
        nothing is set.
        """
        return masked(self.url) if self.url else self.reference


def resolve(references: Sequence[str], variables: Mapping[str, str]) -> list[Address]:
    """The addresses that the settings name."""
    proxies = {name: value for name, value in variables.items() if name.upper() in PROXIES and value}
    found = []
    for each in references:
        try:
            found.append(Address(each, expand(each.strip(), variables).strip(), proxies))
        except UnsetVariable:
            found.append(Address(each, ""))
    return found


def masked(url: str) -> str:
    """Scheme and host, nothing that opens anything."""
    scheme, colon, _rest = url.partition("://")
    if not colon or not scheme.isascii() or not scheme.replace("+", "").isalnum() or len(scheme) > 20:
        return "…"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return f"{scheme}://{host}" if scheme.lower() in WITH_HOST and host else f"{scheme}://…"
