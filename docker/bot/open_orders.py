"""Print which orders of this bot are open at the exchange. It takes the bot's options and changes nothing."""

import sys

from gridbot.cli.open_orders import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
