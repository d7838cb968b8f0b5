"""Hold who may sign in: passwords by role, tokens of programs, the secret of one-time codes.

The file belongs to whoever runs the manager. The web side gets its content at its start, and cannot read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import struct
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from manager.errors import ManagerError, writing_to
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership

Role = Literal["read", "halt", "operate"]
PERMISSIONS: Mapping[Role, frozenset[str]] = {
    "read": frozenset({"read"}),
    "halt": frozenset({"read", "halt"}),
    "operate": frozenset({"read", "halt", "operate"}),
}
"""`halt` is a role apart: it may stop everything and start nothing."""

MODE = 0o600
SALT_BYTES = 16
COST = {"n": 1 << 14, "r": 8, "p": 5}
"""16 MB and about 0.2 s a guess: one of OWASP's equal choices, and small beside the web side."""
SCRYPT_MEMORY = 64 << 20
CODE_S = 30
CODE_DIGITS = 6
TOKEN_PREFIX = "botfleet_"


class Access(NamedTuple):
    """Hold the file's content: salt and hash by role, role and hash by a token's name, a secret in base32."""

    passwords: Mapping[Role, tuple[str, str]] = MappingProxyType({})
    tokens: Mapping[str, tuple[Role, str]] = MappingProxyType({})
    totp: str = ""

    def as_object(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {"passwords": dict(self.passwords), "tokens": dict(self.tokens), "totp": self.totp}


def of_object(raw: Any) -> Access:
    """Return what was stored. Raises ValueError."""
    try:
        passwords = {role: (str(salt), str(key)) for role, (salt, key) in raw["passwords"].items()}
        tokens = {str(name): (role, str(key)) for name, (role, key) in raw["tokens"].items()}
        totp = str(raw["totp"])
        for salt, key in passwords.values():
            bytes.fromhex(salt + key)
        if totp:
            base64.b32decode(totp)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(error) from error
    if not ({*passwords, *(role for role, _key in tokens.values())} <= PERMISSIONS.keys()):
        raise ValueError("an unknown role")
    return Access(passwords, tokens, totp)


def load(file: Path) -> Access:
    """Return the file's content; nothing without a file. Raises ManagerError: it is damaged."""
    try:
        return of_object(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Access()
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise ManagerError(
            "{file}: cannot be read ({why}); remove it, and set the password again", file=file, why=why
        ) from error


def save(file: Path, access: Access) -> None:
    """Write the file. Raises ManagerError."""
    with writing_to(file):
        ownership.make_folder(file.parent)
        atomic_file.write_atomically(file, access.as_object(), MODE)


def with_password(access: Access, role: Role, password: str) -> Access:
    """Return it with another password for the role."""
    salt = secrets.token_bytes(SALT_BYTES)
    return access._replace(passwords={**access.passwords, role: (salt.hex(), _scrypt(password, salt).hex())})


def with_token(access: Access, name: str, role: Role) -> tuple[Access, str]:
    """Return it with a new token of that name, and the token."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return access._replace(tokens={**access.tokens, name: (role, _hash(token))}), token


def role_of_password(access: Access, password: str) -> Role | None:
    """Return the role whose password it is. Each that is set is tried, so that time tells nothing."""
    role_found: Role | None = None
    for role, (salt, key) in access.passwords.items():
        if hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(key)):
            role_found = role
    return role_found


def program_of_token(access: Access, token: str) -> tuple[str, Role] | None:
    """Return name and role of a program's token."""
    given, token_role = _hash(token), None
    for name, (role, key) in access.tokens.items():
        if hmac.compare_digest(given, key):
            token_role = (name, role)
    return token_role


def new_totp() -> str:
    """Return a new secret of one-time codes, in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code(secret: str, step: int) -> str:
    """Return the one-time code of a step of 30 s (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    at = digest[-1] & 15
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return str(number % 10**CODE_DIGITS).zfill(CODE_DIGITS)


def step_of_code(secret: str, given: str, now: float) -> int | None:
    """Return the step whose code it is: the present one, or its neighbour for clocks that differ.

    Programs show a code with a space in it, and an input method for Chinese types full-width digits.
    """
    typed = "".join(unicodedata.normalize("NFKC", given).split()).encode(errors="surrogateescape")
    present = int(now // CODE_S)
    steps = (present - 1, present, present + 1)
    return next((step for step in steps if hmac.compare_digest(code(secret, step).encode(), typed)), None)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=SCRYPT_MEMORY, dklen=32, **COST)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
