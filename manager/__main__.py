"""Run the `manager` command as `python -m manager`."""

import sys

if "halt" in sys.argv:
    from manager.cli import halt_signals

    halt_signals.take()

from manager.cli.main import entry_point

entry_point()
