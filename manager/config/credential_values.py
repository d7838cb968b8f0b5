"""Recognise values that cannot be credentials: placeholders of templates, and remains of editing. Pure."""

from __future__ import annotations

import re

from manager.i18n import mark

PLACEHOLDER = r"""(?xi)
    your[-_ ].* | .*[-_ ]here | change[-_ ]?(?:me|this) | (?:replace|enter|insert|paste)[-_ ].*
    | <.*> | \[.*\] | \{.*\} | \$.*
    | x{3,} | \*{2,} | \.{2,} | … | -+ | _+
    | todo | tbd | none | null | undefined | placeholder
"""
"""What templates of `.env` have instead of a credential: `your_api_key_here`, `<KEY>`, `changeme`, `xxx`.

Compiled when a value is checked, which most commands never do.
"""

PHRASE = r"(?i)mnemonic|seed|phrase|pass"
"""Variables whose value a person may have chosen, or that consists of words."""

PEM = "-----BEGIN "


HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]{40,})", re.IGNORECASE)


def as_compared(value: str) -> str:
    """Return what two ways to write one credential have in common: a key in hexadecimal, a number.

    Of a key the digits count, in either case and with 0x before them or without; of a number its value.
    """
    match = HEXADECIMAL.fullmatch(value)
    if match is not None and not value.isdigit():
        return match[1].lower()
    return str(int(value)) if value.isascii() and value.isdigit() and len(value) < 20 else value


def is_placeholder(value: str, name: str) -> bool:
    """Return whether the value stands for one that is still to be filled in."""
    return value == name or re.fullmatch(PLACEHOLDER, value.strip()) is not None


def unusual_in(value: str, name: str) -> str | None:
    """Return what a key of an exchange never contains, as a message to translate; None for a usable value."""
    if not value.isascii():
        return mark("a character outside ASCII")
    if value.startswith(PEM):
        return None
    if value != value.strip():
        return mark("a blank at its beginning or end")
    if re.search(PHRASE, name):
        return None
    if any(character.isspace() for character in value):
        return mark("a blank")
    if not value.isprintable():
        return mark("a control character")
    if "'" in value or '"' in value:
        return mark("a quotation mark")
    return None
