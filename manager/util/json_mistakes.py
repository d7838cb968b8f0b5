"""Say what is wrong with a text that is not JSON, in the words of the mistake that people made. Pure."""

from __future__ import annotations

import json

from manager.i18n import Text, mark
from manager.util.late_pattern import late_pattern

COMMENTS = ("//", "/*", "#")
"""What begins a comment elsewhere."""
WORDS = late_pattern(r"(True|False|None|yes|no|on|off)\b")
MESSAGES = {
    "Extra data": mark("more follows after its end"),
    "Expecting ',' delimiter": mark("a comma is missing"),
    "Expecting ':' delimiter": mark("a colon is missing"),
    "Expecting property name enclosed in double quotes": mark("a name in double quotes is expected"),
    "Expecting value": mark("a value is expected"),
    "Unterminated string starting at": mark("a string has no closing quote"),
    "Invalid control character at": mark("a string contains a line break or another control character"),
    "Invalid \\escape": mark("in a string a backslash is written as two"),
    "Invalid \\uXXXX escape": mark("in a string a backslash is written as two"),
    "Illegal trailing comma before end of object": mark("the last comma is one too many"),
    "Illegal trailing comma before end of array": mark("the last comma is one too many"),
}
"""The parser's message → ours. Later versions of Python say more."""


def why(error: json.JSONDecodeError) -> Text:
    """Return the mistake that stands where the parser stopped, else what it expected there."""
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    message = MESSAGES.get(error.msg)
    if error.msg.startswith("Expecting"):
        if not error.doc.strip():
            return Text("it is empty")
        if not after:
            return Text("it ends too early")
        if after.startswith(COMMENTS):
            return Text("JSON has no comments")
        if before.endswith(",") and after[0] in "}]":
            return Text("the last comma is one too many")
        if after[0] == "'":
            return Text("JSON has double quotes only")
        if not after[0].isascii():
            return Text("“{character}” is no character of JSON", character=after[0])
        if word := WORDS.match(after):
            return Text("“{word}” is no word of JSON (true, false, null)", word=word[1])
    return Text(message) if message is not None else Text("{why}", why=error.msg)
