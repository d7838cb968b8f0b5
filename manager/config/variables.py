"""Variables: `.env`, `${NAME}` and `${NAME:-default}`, and which names are credentials. Pure but for `read_dotenv`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from manager.i18n import _
from manager.util import strict_json

SECRET_WORDS = re.compile(r"key|secret|pass|token|private|mnemonic|seed", re.IGNORECASE)
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

NOT_CREDENTIALS = frozenset({"BOT_WEB_TOKEN"})
"""Looks like a credential, opens no account: the bundled bot's own web page asks for it."""

MAX_DOTENV_BYTES = 1_000_000


class Unset(Exception):
    """A `${NAME}` without default whose variable is unset or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def is_secret(name: str) -> bool:
    """Whether a key or variable of this name must never be shown or written in clear text."""
    return name not in NOT_CREDENTIALS and SECRET_WORDS.search(name) is not None


class Found(NamedTuple):
    """A text or number in a JSON value: where it stands, and whether a key above it names a credential."""

    path: str
    text: str
    is_secret: bool
    is_number: bool = False


def texts(value: object, path: str = "", *, below_secret: bool = False) -> Iterator[Found]:
    """Every text in a JSON value, and every number as one, through objects and lists."""
    if isinstance(value, str):
        yield Found(path, value, below_secret)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Found(path, str(value), below_secret, is_number=True)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(
                item, f"{path}.{key}" if path else key, below_secret=below_secret or is_secret(key)
            )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, f"{path}[{index}]", below_secret=below_secret)


def references(text: str) -> Iterator[tuple[str, str | None]]:
    """The (name, default) of each `${…}` in the text."""
    for match in REFERENCE.finditer(text):
        yield match[1], match[2]


def is_reference(text: str) -> bool:
    """Whether the text is nothing but one `${NAME}`, so that no part of a secret stands in clear."""
    match = REFERENCE.fullmatch(text.strip())
    return match is not None and not match[2]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with its references replaced. Raises Unset. Empty counts as unset."""

    def value(match: re.Match[str]) -> str:
        found = variables.get(match[1], "") or match[2]
        if found is None:
            raise Unset(match[1])
        return found

    return REFERENCE.sub(value, text)


def matching(patterns: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, str]:
    """The non-empty variables that a name or pattern (`HTTP_PROXY`, `*_API_URL`) of the fleet settings passes on."""
    return {
        name: value
        for name, value in variables.items()
        if value and any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def parse_dotenv(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """`NAME=value` lines → (variables, [(line number, fault)]). Values are literal: no `$`, no escapes.

    `export NAME=value`, blank lines and `#` lines are allowed; one pair of quotes around a value is taken off.
    """
    variables: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not NAME.fullmatch(name):
            faults.append((number, _("is not NAME=value")))
        elif "\0" in value:
            faults.append((number, _("holds a NUL character")))
        else:
            variables[name] = _unquoted(value)
    return variables, faults


def read_dotenv(path: Path) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The file's variables and faults; none for a missing file. A file that cannot be read is one fault at line 0."""
    try:
        raw = strict_json.content(path, MAX_DOTENV_BYTES)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [(0, _("cannot be read: {why}").format(why=error.strerror))]
    if len(raw) > MAX_DOTENV_BYTES:
        return {}, [(0, _("is larger than {limit} bytes").format(limit=MAX_DOTENV_BYTES))]
    try:
        return parse_dotenv(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return {}, [(0, _("is not UTF-8"))]


def merged(dotenv: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment beats `.env`; an empty value in the environment is unset and beats nothing."""
    return {**dotenv, **{name: value for name, value in environ.items() if value}}


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
