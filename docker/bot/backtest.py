"""Run this bot's strategy over recorded prices. It takes the bot's options, needs no ccxt and no network."""

import sys

from gridbot.cli.backtest import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
