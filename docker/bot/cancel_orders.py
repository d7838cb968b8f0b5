"""Cancel this bot's orders, and print how many the exchange still lists.

Takes the bot's options and places nothing.
"""

import sys

from gridbot.cli.cancel_orders import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
