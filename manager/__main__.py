"""Run the `manager` command as `python -m manager`."""

from manager.cli.main import entry_point

entry_point()
