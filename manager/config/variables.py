"""Expand `${NAME}` and `${NAME:-default}`, merge variables, and recognise credential names."""

import re
from collections.abc import Iterator, Mapping

from manager.typed import NamedTuple
from manager.util import wildcard
from manager.util.late_pattern import late_pattern

SECRET_WORDS = late_pattern(r"key|secret|pass|token|private|mnemonic|seed", re.IGNORECASE)
REFERENCE = late_pattern(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

SUSPECT_WORDS = frozenset(
    (
        *("auth", "authorization", "bearer", "cookie", "cred", "creds", "credential", "credentials", "dsn"),
        *("jwt", "login", "otp", "pat", "phrase", "pin", "pwd", "signature", "totp", "webhook"),
    )
)
"""Words of names that mark a secret without being one of `SECRET_WORDS`, which are refused in clear text."""

NO_WORD = late_pattern(r"[^a-z0-9]+")
SUSPECT_VALUE = late_pattern(
    r"""(?x)
    ://[^/\s:@]*:[^/\s@]+@            # an address with a password
    | -----BEGIN
    | \b(ghp|gho|ghs|github_pat|glpat|xox[abprs]|sk|pk|rk)[_-][A-Za-z0-9_-]{16,}
    | \bAKIA[A-Z0-9]{12,} | \beyJ[\w-]{8,}\.[\w-]{8,}\.
    | \b\d{6,}:[\w-]{30,}                # a Telegram bot's token
    | \b(0x)?[0-9a-fA-F]{64,}\b         # a private key
"""
)

WILDCARDS = frozenset("*?[")

LEAST_SECRET = 12
"""What is shorter may be a word of any message."""

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


def looks_secret(name: str, value: str) -> bool:
    """Return whether the name has a word, or the value a form, of something that must not be passed around.

    For what is withheld only: it errs on the side of secrecy. A proxy's password does not count,
    because a bot on paper needs the proxy.
    """
    if name in NOT_CREDENTIALS or "PROXY" in name.upper():
        return False
    words = set(NO_WORD.split(name.lower()))
    return is_secret(name) or bool(words & SUSPECT_WORDS) or SUSPECT_VALUE.search(value) is not None


class ScalarValue(NamedTuple):
    """Hold a text or number in a JSON value, its path, and whether a key above it names a credential."""

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
    names = {pattern for pattern in patterns if not set(pattern) & WILDCARDS}
    wild = [pattern for pattern in patterns if pattern not in names]
    return {
        name: value
        for name, value in variables.items()
        if value and (name in names or any(wildcard.matches(name, pattern) for pattern in wild))
    }


def secret_values(variables: Mapping[str, str]) -> frozenset[str]:
    """Return the values that must not leave the machine in a message, wherever a bot has printed them."""
    return frozenset(
        value for name, value in variables.items() if len(value) >= LEAST_SECRET and is_secret(name)
    )


def is_unlimited(pattern: str) -> bool:
    """Return whether the pattern fits the name of every variable."""
    return "*" in pattern and set(pattern) <= {"*", "?"}


def merge_environment(dotenv: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return both sets of variables. The environment wins, except for empty values, which count as unset."""
    return {**dotenv, **{name: value for name, value in environ.items() if value}}
