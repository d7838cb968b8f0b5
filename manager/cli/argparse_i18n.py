"""argparse's own words, so that `--help` and usage errors speak the language of the rest."""

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
"""What a user of ours can meet, of Python 3.11 to 3.14; its complaints to programmers stay English."""


def translate() -> None:
    """From now on argparse asks our catalogues.

    It looks its words up in `gettext` under the process's locale, and offers no way to give it another language.
    """
    words = vars(argparse)
    words["_"] = i18n._
    words["ngettext"] = lambda one, many, count: i18n._(one if count == 1 else many)
