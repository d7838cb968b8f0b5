"""Read `.env`, expand `${NAME}` and `${NAME:-default}`, and recognise credential names."""

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

SUSPECT_WORDS = frozenset(
    (
        *("auth", "authorization", "bearer", "cookie", "cred", "creds", "credential", "credentials", "dsn"),
        *("jwt", "login", "otp", "pat", "phrase", "pin", "pwd", "signature", "totp", "webhook"),
    )
)
"""Words of names that mark a secret without being one of `SECRET_WORDS`, which are refused in clear text."""

SUSPECT_VALUE = re.compile(
    r"""://[^/\s:@]*:[^/\s@]+@            # an address with a password
    | -----BEGIN
    | \b(ghp|gho|ghs|github_pat|glpat|xox[abprs]|sk|pk|rk)[_-][A-Za-z0-9_-]{16,}
    | \bAKIA[A-Z0-9]{12,} | \beyJ[\w-]{8,}\.[\w-]{8,}\.
    | \b\d{6,}:[\w-]{30,}                # a Telegram bot's token
    | \b(0x)?[0-9a-fA-F]{64,}\b         # a private key
    """,
    re.VERBOSE,
)

NOT_CREDENTIALS = frozenset({"BOT_WEB_TOKEN"})
"""The bundled bot's web page asks for this token; it grants access to no account."""

COMMENT = re.compile(r"\s#")
"""Where python-dotenv and Compose begin a comment behind a value; `parse_dotenv` reads on."""

MAX_DOTENV_BYTES = 1_000_000


class UnsetVariable(Exception):
    """Signal a `${NAME}` without a default whose variable is unset or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def is_secret(name: str) -> bool:
    """Return whether a key or variable of this name must never be shown or written in clear text."""
    return name not in NOT_CREDENTIALS and SECRET_WORDS.search(name) is not None


def looks_secret(name: str, value: str) -> bool:
    """Return whether the name has a word, or the value a form, of something that must not be passed around.

    For what is withheld only: it errs on the side of secrecy. A proxy's password does not count,
    because a bot on paper needs the proxy.
    """
    if name in NOT_CREDENTIALS or "PROXY" in name.upper():
        return False
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return is_secret(name) or bool(words & SUSPECT_WORDS) or SUSPECT_VALUE.search(value) is not None


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


def parse_dotenv(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Parse `NAME=value` lines → (variables, [(line number, fault)]).

    Values are literal: no `$`, no escapes. `export NAME=value`, blank lines and `#` lines are allowed; one
    pair of quotes around a value is removed.
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
            faults.append((number, _("contains a NUL character")))
        else:
            variables[name] = _unquoted(value)
    return variables, faults


def read_dotenv(path: Path) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Return the file's variables and faults; a missing file has neither.

    An unreadable file is one fault at line 0.
    """
    try:
        raw = strict_json.read_bytes(path, MAX_DOTENV_BYTES)
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


def values_with_comments(path: Path) -> list[tuple[int, str]]:
    """Return the (line number, name) of each value that includes what other programs take for a comment."""
    try:
        text = strict_json.read_bytes(path, MAX_DOTENV_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):  # faults of `read_dotenv`
        return []
    unclear = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, _equals, value = line.strip().removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        inner = _unquoted(value)
        is_quoted = inner != value and value[0] not in inner
        if NAME.fullmatch(name) and COMMENT.search(value) and not is_quoted:
            unclear.append((number, name))
    return unclear


def merge_environment(dotenv: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return both sets of variables. The environment wins, except for empty values, which count as unset."""
    return {**dotenv, **{name: value for name, value in environ.items() if value}}


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
