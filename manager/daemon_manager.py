"""The old system's `core/daemon_manager.py`: `python -m manager.daemon_manager`, and its class and function."""

import sys

from manager.compat.daemon import TradingBotDaemon, list_instances, main

__all__ = ["TradingBotDaemon", "list_instances", "main"]

if __name__ == "__main__":
    sys.exit(main())
