"""Define the data of the history."""

from __future__ import annotations

from decimal import Decimal

from manager.typed import Literal, NamedTuple


class Sample(NamedTuple):
    """Hold an instance at one moment.

    `kind`: `live` or `paper`, or the word of prices that are no market's. `run`: when the bot's own run
    began, None where it does not say. `start`: when its process did. P&L in `quote`, of the run; None is
    unknown, never 0. `from_bot`: filled in from the bot's database.
    """

    at: float
    state: str
    doing: str | None = None
    kind: str = ""
    run: float | None = None
    start: float | None = None
    quote: str | None = None
    base: str | None = None
    pnl: Decimal | None = None
    realized: Decimal | None = None
    fees: Decimal | None = None
    position: Decimal | None = None
    price: Decimal | None = None
    trades: int | None = None
    from_bot: bool = False


STATE_CODE = "state"
"""Of an event: the instance is in another state. Parameters: `state`, `doing`, `why` and `cause` of the
supervisor, and the bot's `last` words.
"""


COMMAND_CODE = "command"
"""Of an event: a command did something, or failed to. Parameters: `command`, and `what` and `why` as
`kept_text` keeps messages.
"""


What = Literal["exit", "state", "command", "command failed"]
"""What happened to an instance, as an event keeps it."""


class Event(NamedTuple):
    """Hold something that happened to an instance. `text`: the rest, for a person.

    `reason`: a code with parameters, where `text` is its English sentence: the supervisor's code,
    `STATE_CODE` or `COMMAND_CODE`.
    """

    at: float
    instance: str
    what: What
    text: str = ""
    reason: object = None


class Trade(NamedTuple):
    """Hold a trade as the bot's database has it. Amounts exact."""

    at: float
    instance: str
    exchange: str
    symbol: str
    kind: str
    trade_id: str
    order_id: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool
    position: Decimal | None = None
    realized: Decimal | None = None


class Span(NamedTuple):
    """Hold a time, from its begin to its end."""

    begin: float
    end: float


class Run(NamedTuple):
    """Hold one run of a bot, as its own database has it: from a fresh begin to its end, restarts included."""

    began: float
    ended: float | None
    why: str
    kind: str
