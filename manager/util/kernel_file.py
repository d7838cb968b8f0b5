"""Read a small file of the kernel's (/proc, /sys): it returns these in a single read."""

from __future__ import annotations

import os


def read(path: str, max_bytes: int) -> str:
    """Return the content; empty if the file is gone or not readable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, max_bytes).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
