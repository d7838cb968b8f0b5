"""Export the old system's `core/daemon_manager.py`, also as `python -m manager.daemon_manager`."""

import sys

from manager.compat.daemon import TradingBotDaemon, list_instances, main

__all__ = ["TradingBotDaemon", "list_instances", "main"]

if __name__ == "__main__":
    sys.exit(main())
