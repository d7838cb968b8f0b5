"""Make untrusted text safe to print: no cursor movement, no colours, no reversed text direction."""

from __future__ import annotations

import json


def replace_unprintable(text: str, instead: str = " ") -> str:
    """Return the text with every unprintable character replaced by `instead`."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)


def escape_unprintable(text: str) -> str:
    """Return JSON with every unprintable character of its strings written as `\\u202e`."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]
