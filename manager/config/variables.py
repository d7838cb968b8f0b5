"""Expand `${NAME}` and `${NAME:-default}`, merge variables, and recognise credential names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

SECRET_WORDS = re.compile(r"key|secret|pass|token|private|mnemonic|seed", re.IGNORECASE)
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

NOT_CREDENTIALS = frozenset({"BOT_WEB_TOKEN"})
"""The bundled bot's web page asks for this token; it grants access to no account."""


class UnsetVariable(Exception):
    """Signal a `${NAME}` without a default whose variable is unset or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def is_secret(name: str) -> bool:
    """Return whether a key or variable of this name must never be shown or written in clear text."""
    return name not in NOT_CREDENTIALS and SECRET_WORDS.search(name) is not None


class ScalarValue(NamedTuple):
    """A text or number in a JSON value, its path, and whether a key above it names a credential."""

    path: str
    text: str
    is_secret: bool
    is_number: bool = False


def scalar_values(value: object, path: str = "", *, below_secret: bool = False) -> Iterator[ScalarValue]:
    """Yield every text and number in a JSON value, through objects and lists."""
    if isinstance(value, str):
        yield ScalarValue(path, value, below_secret)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield ScalarValue(path, str(value), below_secret, is_number=True)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from scalar_values(
                item, f"{path}.{key}" if path else key, below_secret=below_secret or is_secret(key)
            )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalar_values(item, f"{path}[{index}]", below_secret=below_secret)


def references(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the (name, default) of each `${…}` in the text."""
    for match in REFERENCE.finditer(text):
        yield match[1], match[2]


def is_reference(text: str) -> bool:
    """Return whether the text is a single `${NAME}`, so that no part of a secret is in clear text."""
    match = REFERENCE.fullmatch(text.strip())
    return match is not None and not match[2]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its references replaced.

    Raises UnsetVariable; an empty variable counts as unset.
    """

    def value(match: re.Match[str]) -> str:
        replacement = variables.get(match[1], "") or match[2]
        if replacement is None:
            raise UnsetVariable(match[1])
        return replacement

    return REFERENCE.sub(value, text)


def select_variables(patterns: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the non-empty variables that match a name or pattern (`HTTP_PROXY`, `*_API_URL`)."""
    return {
        name: value
        for name, value in variables.items()
        if value and any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def merge_environment(dotenv: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return both sets of variables. The environment wins, except for empty values, which count as unset."""
    return {**dotenv, **{name: value for name, value in environ.items() if value}}
