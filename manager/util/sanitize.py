"""Make untrusted text safe to print: no cursor movement, no colours, no reversed direction, nothing unseen.

One rule for all text that is shown or names something: a character is hidden if its Unicode category is not
printable (controls, directions, surrogates, unassigned, spaces but the plain one), or if it is printable and
yet seen as nothing.
"""

from __future__ import annotations

import json
import re

from manager.util.late_pattern import late_pattern

BLANK = late_pattern(
    "["
    "\u034f"  # combining grapheme joiner
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u17b4\u17b5"  # Khmer inherent vowels
    "\u180b-\u180d\u180f\ufe00-\ufe0d\U000e0100-\U000e01ef"  # variation selectors
    "\u2800"  # Braille pattern blank
    "\U00013441\U00013442\U00016fe4\U0001d159"  # blanks of scripts, and of musical notation
    "]"
)
"""What is printable and seen as nothing.

Unicode's `Default_Ignorable_Code_Point`, as far as it is printable by its categories, and blank signs.
"""

LOOK = "\ufe0e\ufe0f"
"""Whether the sign before is an emoji. Harmless where text is shown; names that differ in it look alike."""

IN_SENTENCES = (
    rf"(?<=[^\s\u200c\u200d{LOOK}])[{LOOK}]|(?<=[^\s\u200c\u200d])[\u200c\u200d]|[\u00a0\u202f\u3000\n\t]"
)
"""The look of the sign before, joiners of signs, wide spaces, lines. Compiled at its first use."""


def hidden_in(text: str, *, is_sentence: bool = False) -> str | None:
    """Return the first hidden character, as `U+202E`; None if there is none.

    `is_sentence`: whether the text only describes. Nothing is found by it, so it may have what sentences
    need.
    """
    if text.isascii() and text.isprintable():
        return None
    text = re.sub(IN_SENTENCES, "", text) if is_sentence else text
    hidden = (sign for sign in text if sign in LOOK or not _is_shown(sign))
    return next((f"U+{ord(sign):04X}" for sign in hidden), None)


def replace_unprintable(text: str, instead: str = " ") -> str:
    """Return the text with every hidden character replaced by `instead`."""
    if _is_shown(text):
        return text
    return "".join(character if _is_shown(character) else instead for character in text)


def escape_unprintable(text: str) -> str:
    """Return JSON with every hidden character of its strings written as `\\u202e`."""
    if all(_is_shown(line) for line in text.split("\n")):
        return text
    return "".join(
        character if _is_shown(character) or character == "\n" else _escaped(character) for character in text
    )


def _is_shown(text: str) -> bool:
    return text.isprintable() and (text.isascii() or BLANK.search(text) is None)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]
