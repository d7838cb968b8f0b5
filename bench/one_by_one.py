"""Cancel a bot's orders as cancel_orders.py does, without the exchange's call for many: for comparison."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

# In the place of this folder, whose requests.py would be taken for the library.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "docker" / "bot")

from gridbot.cli.cancel_orders import main  # noqa: E402
from gridbot.exchanges.ccxt_exchange import CcxtExchange  # noqa: E402


class OneByOne(CcxtExchange):
    """Simulate an exchange without a call that cancels many orders."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.most_in_batch = 1


if __name__ == "__main__":
    with mock.patch("gridbot.exchanges.ccxt_exchange.CcxtExchange", OneByOne):
        sys.exit(main(sys.argv[1:]))
