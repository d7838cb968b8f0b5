"""A report that may be shown to strangers: no credential, no home folder, no name of a person or a machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST_SECRET = 4
"""A shorter value is no credential, and would be found in every other word."""
SHORTEST_NAME = 2
ADDRESS = re.compile(r"\b(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}\b")


def redacted(
    text: str, secrets: Iterable[str], folders: Mapping[str, str], names: Mapping[str, Iterable[str]]
) -> str:
    """The text without `secrets`, with `folders` (path → what to say) and `names` (what to say → names) reduced."""
    values = sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True)
    for value in values:
        text = text.replace(value, "***")
    for path in sorted(folders, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, folders[path])
    for say, found in names.items():
        for name in found:
            if len(name) >= SHORTEST_NAME:
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", say, text)
    return ADDRESS.sub("ADDRESS", text)
