"""Asks the exchange which orders of this bot are open, and ends. Takes the bot's own options; places and cancels nothing."""

import sys

from gridbot.cli.open_orders import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
