"""Ask the user at the terminal. Nothing is asked when input or output is a pipe."""

from __future__ import annotations

import sys

from manager.i18n import _, punctuated


def is_possible() -> bool:
    """Return whether a user can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: object) -> str:
    """Return the answer as one line; empty for none."""
    print(f"{question}{punctuated(': ')}", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def confirm(question: object) -> bool:
    """Return whether the answer is yes; anything else means no."""
    return ask(f"{question} [{_('yes')}/{_('no')}]").lower() in {"y", "yes", _("yes").lower()}
