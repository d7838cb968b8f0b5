"""One finding of doctor's: how bad it is, what is so, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from manager.i18n import Text

Level = Literal["ok", "warn", "fail"]


class Line(NamedTuple):
    """`check` is a word for programs; `remedy` is None where nothing needs to be done."""

    level: Level
    check: str
    text: Text
    remedy: Text | None = None


def ok(check: str, text: Text) -> Line:
    """As it should be."""
    return Line("ok", check, text)


def warn(check: str, text: Text, remedy: Text) -> Line:
    """It works now, and may not tomorrow."""
    return Line("warn", check, text, remedy)


def fail(check: str, text: Text, remedy: Text) -> Line:
    """Bots do not run, or not safely, until this is mended."""
    return Line("fail", check, text, remedy)
