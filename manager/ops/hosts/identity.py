"""Tell this machine's project from others that have the same name, and from a copy of its disk."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError, writing_to
from manager.typed import NamedTuple
from manager.util import atomic_file, moment, ownership

BYTES = 32


class Identity(NamedTuple):
    """Hold who answers. `own`: of this project folder since this boot. `boot`: of the running system.

    Both are empty where they are unknown, and then match no machine.
    """

    own: str = ""
    boot: str = ""


def of(fleet: Fleet) -> Identity:
    """Return this machine's. A copy of its disk has the same nonce, but runs since another boot."""
    try:
        boot = moment.BOOT_ID.read_text(encoding="ascii").strip()
        nonce = made_once(folder(fleet) / "machine.id").hex()
    except (OSError, ManagerError):  # a disk that is read-only: this is then taken for another machine
        return Identity()
    return Identity(f"{nonce} {boot}", boot)


def folder(fleet: Fleet) -> Path:
    """Return where the check of accounts keeps its files; ids begin with a letter or digit."""
    return fleet.state_dir / ".hosts"


def made_once(path: Path) -> bytes:
    """Return the random bytes of a file, written at first use. Raises ManagerError."""
    with writing_to(path):
        ownership.make_folder(path.parent)
        with suppress(FileExistsError):
            atomic_file.create(path, secrets.token_bytes(BYTES), 0o600)
            ownership.give_to_folder_owner(path)
        content = path.read_bytes()
    if len(content) != BYTES:
        raise ManagerError("{path} is damaged; remove it", path=path)
    return content
