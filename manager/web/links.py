"""Make links that sign in once. Only the newest works; its hash is in a file closed to the web side."""

from __future__ import annotations

import hashlib
import secrets
import threading
from pathlib import Path

from manager.errors import writing_to
from manager.i18n import Text
from manager.util import atomic_file
from manager.util.trusted_folder import unlink_in_trusted

SECRET_BYTES = 32
MODE = 0o600

_redeeming = threading.Lock()


def new(file: Path) -> str:
    """Return the secret of a new link; the one before no longer works. Raises ManagerError."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    with writing_to(file):
        atomic_file.replace_bytes(file, _hash(secret).encode() + b"\n", MODE)
    return secret


def invitation(file: Path, url: str) -> Text:
    """Return a new link's line for the terminal. Raises ManagerError."""
    return Text("sign in, once: {url}", url=f"{url}/#link={new(file)}")


def redeem(file: Path, secret: str) -> bool:
    """Return whether the secret is that of the present link, which it then no longer is."""
    with _redeeming:
        try:
            stored = file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return False
        if not stored or not secrets.compare_digest(stored, _hash(secret)):
            return False
        unlink_in_trusted(file)
    return True


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
