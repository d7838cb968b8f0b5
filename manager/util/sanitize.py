"""Make untrusted text safe to print: no cursor movement, no colours, no reversed text direction."""

from __future__ import annotations


def replace_unprintable(text: str, instead: str = " ") -> str:
    """Return the text with every unprintable character replaced by `instead`."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)
