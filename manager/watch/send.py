"""Sends an alert for a `manager watch` that was started before its code moved to monitor/watch.

A resident goes on running through `git pull` and starts `python -m manager.watch.send` for each alert: without this name
its alerts would be lost until somebody started it again.
"""

import sys

from manager.monitor.watch.send import main

if __name__ == "__main__":
    sys.exit(main())
