"""Questions to the person at the terminal. In a pipe nothing is ever asked."""

from __future__ import annotations

import sys

from manager.i18n import _


def is_possible() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: object) -> str:
    """The answer in one line; empty for none."""
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def confirm(question: object) -> bool:
    """Whether the answer is yes; anything else is no."""
    return ask(f"{question} [{_('yes')}/{_('no')}]").lower() in {"y", "yes", _("yes").lower()}
