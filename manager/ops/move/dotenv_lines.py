"""Add variables to .env, which stays as its owner wrote it otherwise, and is readable by its owner alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from manager.config import dotenv
from manager.errors import ManagerError, writing_to
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import trusted_target

MODE = 0o600
ROUNDS = 100_000
"""What a guess of a value costs whoever has its fingerprint: about 0.05 s."""


def fingerprint(salt: str, value: str) -> str:
    """Return what tells whether two machines have the same value, without the value."""
    return hashlib.pbkdf2_hmac("sha256", value.encode(), salt.encode(), ROUNDS).hex()


def unlike(path: Path, salt: str, fingerprints: Mapping[str, str]) -> list[str]:
    """Return the variables that have another value in this .env."""
    present = dotenv.read(path).variables
    return [
        name
        for name, expected in fingerprints.items()
        if present.get(name) and fingerprint(salt, present[name]) != expected
    ]


def add(path: Path, values: Mapping[str, str]) -> list[str]:
    """Append what is missing, and return its names. Raises ManagerError."""
    present = dotenv.read(path)
    missing = {name: value for name, value in values.items() if not present.variables.get(name)}
    if not missing:
        return []
    lines = []
    for name, value in missing.items():
        if (text := dotenv.quoted(value)) is None:
            raise ManagerError(
                "cannot write {name} to {path}: there is no quoting that every program reads alike; "
                "write it there yourself",
                name=name,
                path=path,
            )
        lines.append(f"{name}={text}\n")
    with writing_to(path):
        link, owner = trusted_target(path), None
        try:
            before, status = strict_json.read_bytes(link, dotenv.MAX_BYTES), link.stat()
            owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        except FileNotFoundError:
            before, owner = b"", ownership.inherited_owner(link)
        if before and not before.endswith(b"\n"):
            before += b"\n"
        atomic_file.replace_bytes(link, before + "".join(lines).encode(), MODE, owner)
    return sorted(missing)
