"""Text of others that a terminal only shows: nothing in it moves the cursor, colours, or turns the order of signs around."""

from __future__ import annotations


def plain(text: str, instead: str = " ") -> str:
    """The text with `instead` for each sign that cannot be printed."""
    return text if text.isprintable() else "".join(each if each.isprintable() else instead for each in text)
