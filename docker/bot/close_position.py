"""Close the position in the record of this bot, which must not run meanwhile.

Takes `look SHARE`, which sends no order, or `close SIDE QUANTITY PRICE`, and then the bot's options.
"""

import sys

from gridbot.cli.close_position import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
