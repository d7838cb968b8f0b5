"""Redact a report so that it can be shared: no credentials, no home folder, no user or host names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST_SECRET = 4
"""Shorter values are not credentials, and would match inside ordinary words."""
SHORTEST_NAME = 2
ADDRESS = re.compile(r"\b(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}\b")


def redact(
    text: str, secrets: Iterable[str], folders: Mapping[str, str], names: Mapping[str, Iterable[str]]
) -> str:
    """Return the text without `secrets`, and with `folders` and `names` replaced.

    `folders`: path → replacement. `names`: replacement → names.
    """
    values = sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True)
    for value in values:
        text = text.replace(value, "***")
    for path in sorted(folders, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, folders[path])
    for replacement, real_names in names.items():
        for name in real_names:
            if len(name) >= SHORTEST_NAME:
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", replacement, text)
    return ADDRESS.sub("ADDRESS", text)
