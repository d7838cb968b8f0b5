"""Run the `manager` command as `python -m manager`."""

from manager.cli import as_module

as_module()
