"""`python -m manager` is the `manager` command."""

from manager.cli import entry_point

entry_point()
