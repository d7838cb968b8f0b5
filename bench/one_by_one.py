"""Cancel a bot's orders as cancel_orders.py does, without the exchange's call for many: for comparison."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# In the place of this folder, whose requests.py would be taken for the library.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "docker" / "bot")

from gridbot.cli.cancel_orders import main  # noqa: E402
from gridbot.exchanges.ccxt_exchange import CcxtExchange  # noqa: E402


def forget_batches() -> None:
    """Let every exchange of this process have no call that cancels many orders."""
    really = CcxtExchange.__init__

    def without(exchange: CcxtExchange, *args: Any, **more: Any) -> None:
        really(exchange, *args, **more)
        exchange.most_in_batch = 1

    CcxtExchange.__init__ = without  # type: ignore[method-assign]


if __name__ == "__main__":
    forget_batches()
    sys.exit(main(sys.argv[1:]))
