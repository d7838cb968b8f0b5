"""Close the position of this bot's record, which does not run.

Takes `look SHARE`, which sends no order, or `close SIDE QUANTITY PRICE`, and then the bot's options.
"""

import sys

from gridbot.cli.close_position import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
