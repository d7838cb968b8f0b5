"""Send an alert for a `manager watch` that was started before its code moved to monitor/watch.

It continues to run after `git pull` and starts `python -m manager.watch.send` for each alert: without this
module its alerts would be lost until it is restarted.
"""

import sys

from manager.monitor.watch.send import main

if __name__ == "__main__":
    sys.exit(main())
