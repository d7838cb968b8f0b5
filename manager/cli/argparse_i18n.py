"""Translate argparse's texts, so that `--help` and usage errors are in the user's language."""

from __future__ import annotations

import argparse

from manager import i18n
from manager.i18n import mark

WORDS = (
    mark("usage: "),
    mark("positional arguments"),
    mark("options"),
    mark("show this help message and exit"),
    mark("argument %(argument_name)s: %(message)s"),
    mark("unrecognized arguments: %s"),
    mark("the following arguments are required: %s"),
    mark("not allowed with argument %s"),
    mark("one of the arguments %s is required"),
    mark("ignored explicit argument %r"),
    mark("expected one argument"),
    mark("expected at most one argument"),
    mark("expected at least one argument"),
    mark("expected %s argument"),
    mark("expected %s arguments"),
    mark("ambiguous option: %(option)s could match %(matches)s"),
    mark("invalid %(type)s value: %(value)r"),
    mark("invalid choice: %(value)r (choose from %(choices)s)"),
    mark("invalid choice: %(value)r, maybe you meant %(closest)r? (choose from %(choices)s)"),
)
"""The texts that users can see, of Python 3.11 to 3.14; messages for programmers stay English."""


def translate() -> None:
    """Make argparse use our catalogues.

    It uses `gettext` with the process's locale, and offers no way to choose another language.
    """
    words = vars(argparse)
    words["_"] = i18n._
    words["ngettext"] = lambda singular, plural, count: i18n._(singular if count == 1 else plural)
