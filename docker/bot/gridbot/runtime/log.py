"""Log one line an event: information to stdout, warnings and errors to stderr."""

from __future__ import annotations

import logging
import sys

from gridbot.runtime import secrecy

FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class _BelowWarning(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING


class _Formatter(logging.Formatter):
    """Format a record, with its traceback, without the run's credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return secrecy.hide(super().format(record))


def configure() -> None:
    """Configure the root logger, replacing the handlers of an earlier call."""
    out, err = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    out.addFilter(_BelowWarning())
    err.setLevel(logging.WARNING)
    formatter = _Formatter(FORMAT, datefmt="%Y-%m-%d %H:%M:%S")
    for handler in (out, err):
        handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [out, err]
    root.setLevel(logging.WARNING)
    logging.getLogger("gridbot").setLevel(logging.INFO)


log = logging.getLogger("gridbot")
