"""Hold the settings of a run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gridbot.model.types import ZERO, as_text

GRID_STRATEGIES = ("grid", "perp_grid")
DEFAULT_INTERVAL_S = 2.0
# A quoting run without --max-position holds at most this many orders' worth.
POSITION_ORDERS = 10
# Of a quantity that was computed from --max-position; the whole number may have no end.
SHOWN_DIGITS = 8
# Exchanges drop single requests every day; only a longer silence counts as an outage.
OUT_OF_REACH_S = 10.0
# The longest pause between two attempts to reach an exchange that is away.
RETRY_CAP_S = 60.0
# How often a day `adjust_range` may move the range. Each move may sell low or buy high.
MAX_RANGE_MOVES = 10
# Counted from the signal. The supervisor kills after 45 s by default, and the last calls may take seconds
# more.
STOP_WITHIN_S = 35.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the settings of one run.

    Prices and P&L limits are in the quote currency, quantities in the base currency, times in seconds.
    """

    exchange: str
    symbol: str
    strategy: str
    perp: bool
    quantity: Decimal
    max_position: Decimal | None = None
    # how many orders --max-position was divided by; None where the quantity itself was given
    shares: int | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    duration: float | None = None
    interval: float = DEFAULT_INTERVAL_S
    # grid, perp_grid
    grid_upper: Decimal = ZERO
    grid_lower: Decimal = ZERO
    grid_num: int = 10
    grid_mode: str = "arithmetic"
    grid_type: str = "neutral"
    initial_position: Decimal = ZERO
    boundary_check: bool = False
    boundary_action: str = "emergency_close"
    boundary_tolerance: Decimal = ZERO
    max_range_moves: int = MAX_RANGE_MOVES
    # standard
    spread: Decimal = Decimal("0.2")
    max_orders: int = 3
    target_position: Decimal = ZERO
    position_threshold: Decimal | None = None
    inventory_skew: Decimal = ZERO
    # where and how
    live: bool = False
    instance: str = "gridbot"
    source: str = "auto"
    replay: Path | None = None
    db_path: Path = Path("logs/gridbot.db")
    web_host: str = "127.0.0.1"
    web_port: int = 0
    web_token: str | None = None
    out_of_reach: float = OUT_OF_REACH_S
    stop_within: float = STOP_WITHIN_S
    retry_cap: float = RETRY_CAP_S
    others_position: Decimal | None = None
    other_bots_position: Decimal | None = None
    others_file: Path | None = None
    exclusive_account: bool = False
    cancel_all_after: int = 0

    @property
    def quantity_text(self) -> str:
        """Return an order's quantity with the option that the user has set for it."""
        if self.shares is None or self.max_position is None:
            return f"--quantity: {as_text(self.quantity)}"
        share = as_text(round(self.quantity, SHOWN_DIGITS))
        return (
            f"--max-position: {as_text(self.max_position)} over {self.shares} orders is {share} each, which"
        )

    @property
    def is_grid(self) -> bool:
        """Tell whether the strategy trades a grid."""
        return self.strategy in GRID_STRATEGIES

    @property
    def identity(self) -> str:
        """Return what two starts must share to belong to one run: exchange, symbol, type and mode."""
        kind = "perp" if self.perp else "spot"
        return f"{self.exchange} {self.symbol} {kind} {'live' if self.live else 'paper'}"
