"""Describe a finding: its severity, a description, and a remedy."""

from __future__ import annotations

from typing import Literal

from manager.i18n import Text
from manager.typed import NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """Hold a finding. `check` identifies the check in JSON; `remedy` is None if nothing needs to be done."""

    level: Level
    check: str
    text: Text
    remedy: Text | None = None


def ok(check: str, text: Text) -> Finding:
    return Finding("ok", check, text)


def warn(check: str, text: Text, remedy: Text) -> Finding:
    """Return a finding about something that works now and may fail later."""
    return Finding("warn", check, text, remedy)


def fail(check: str, text: Text, remedy: Text) -> Finding:
    """Return a finding that prevents bots from running, or from running safely."""
    return Finding("fail", check, text, remedy)
