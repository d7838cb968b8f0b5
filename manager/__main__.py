"""Run the `manager` command as `python -m manager`."""

import os
import sys

from manager.cli.interrupted_early import interrupted

try:
    if "halt" in sys.argv:
        from manager.cli import halt_signals

        halt_signals.take()

    from manager.cli.main import entry_point

    entry_point()
except KeyboardInterrupt:  # while it is loaded: later the command has its own way
    os._exit(interrupted())
