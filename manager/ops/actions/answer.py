"""Hold what an exchange says of an instance whose bot is down. Pure."""

from manager.fleet.bot_report import Position
from manager.i18n import Text
from manager.typed import NamedTuple

ASKED_AT_ONCE = 8
"""Each query loads an exchange's client: 80 MB, and half a second of a core."""


class Answer(NamedTuple):
    """Hold the exchange's answer: open orders of the instance (None: unknown, see `why`), and those of
    others.

    `orders`: the first of them, `sell 0.1 @ 151`. `position`: what the instance holds there, None if unknown.
    `can_be_asked`: whether its image has a program for this.
    """

    left: int | None
    others: int = 0
    orders: tuple[str, ...] = ()
    why: Text | None = None
    position: Position | None = None
    exchange: str = "?"
    symbol: str = "?"
    can_be_asked: bool = True

    @property
    def text(self) -> Text:
        """Return what the exchange said, in a few words."""
        if self.left is None:
            return Text("{exchange} was asked: unknown", exchange=self.exchange)
        return Text("{exchange} was asked: {count} open orders left", exchange=self.exchange, count=self.left)
