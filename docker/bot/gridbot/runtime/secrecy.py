"""Keep this run's credentials out of all that it says: an exchange may repeat one in its answer."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

# What is shorter may be a word of any message; no key is.
LEAST_LENGTH = 8
INSTEAD = "…"

_forms: set[str] = set()


def keep(credentials: Iterable[str]) -> None:
    """Remember what may not be said, also as it stands in an address or in JSON."""
    for value in credentials:
        if len(value) >= LEAST_LENGTH:
            bare = value.removeprefix("0x")
            _forms.update({value, bare, bare.lower(), bare.upper(), quote(value, safe="")})
            _forms.add(value.replace("/", "\\/"))


def hide(text: str) -> str:
    """Return the text without what may not be said."""
    for form in sorted(_forms, key=len, reverse=True):
        text = text.replace(form, INSTEAD)
    return text
