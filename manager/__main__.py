"""`python -m manager` is the `manager` command."""

from manager.cli.main import entry_point

entry_point()
