"""Print what a live run of these options would fail or lose by. Nothing is placed."""

import sys

from gridbot.cli.preflight import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
