"""Watch the account's position: it has to be what this bot's trades make, and what others hold beside it."""

from __future__ import annotations

from decimal import Decimal

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.model.condition import Code, Condition
from gridbot.model.types import ZERO, as_text
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.store.store import Store

LOOK_EVERY_S = 30.0
# With a small share of the requests looks are rarer, so that ticks are not; but never rarer than this.
MOST_LOOK_EVERY_S = 300.0
# Histories list an execution later than the position shows it; so a difference counts when it is still there
# after this long.
SECOND_LOOK_S = 5.0
# The name under which the run's part that others hold is stored.
OTHERS = "others_position"


def own_position(settings: Settings, store: Store, exchange: Exchange) -> Decimal | None:
    """Return what the exchange says that this bot holds: the account's position without others' part.

    None where it does not say. Raises ExchangeError.
    """
    account = exchange.position() if settings.live else None
    return None if account is None else account - (_known_others(settings, store) or ZERO)


def _known_others(settings: Settings, store: Store) -> Decimal | None:
    if settings.others_position is not None:
        return settings.others_position
    stored = store.fact(OTHERS)
    return None if stored is None else Decimal(stored)


class PositionWatch:
    """Compare both at intervals, and remember a difference until they agree again.

    What the account holds at the run's first look beyond this bot's trades belongs to others (a person,
    another bot): it is stored with the run, and left alone. From then on a difference of more than one order
    means that this bot's record is wrong, or that another program or person trades beside it: nothing is
    placed any more.
    """

    def __init__(self, settings: Settings, exchange: Exchange, store: Store, base: str, pace: Pace) -> None:
        self._base, self._pace = base, pace
        self._settings, self._exchange, self._store = settings, exchange, store
        self._looked_at: float | None = None
        self._differs_since: float | None = None
        self._condition: Condition | None = None
        self.account: Decimal | None = None

    @property
    def others(self) -> Decimal | None:
        """Return what others hold in the account, None while nothing was compared yet."""
        return _known_others(self._settings, self._store)

    @property
    def condition(self) -> Condition | None:
        """Return the condition, None while both agree or are not known to differ."""
        return self._condition

    def look(self, now: float) -> None:
        """Compare both when it is time to. Raises ExchangeError."""
        if not self._settings.live:
            return
        pause = self._pace.spacing("fetch_positions", LOOK_EVERY_S, MOST_LOOK_EVERY_S)
        if self._differs_since is not None:
            pause = SECOND_LOOK_S
        if self._looked_at is not None and 0 <= now - self._looked_at < pause:
            return
        account = self._exchange.position()
        self._looked_at, self.account = now, account
        if account is None:
            return
        self._compare(account, now)

    def _compare(self, account: Decimal, now: float) -> None:
        own = self._store.ledger.position
        others = self._others(account - own)
        difference = account - others - own
        if abs(difference) <= self._settings.quantity:
            if self._condition is not None:
                log.info("the account holds again what this bot's trades make: %s", as_text(own))
            self._differs_since = self._condition = None
            return
        if self._differs_since is None:
            self._differs_since = now
            return
        text = (
            f"the account holds {as_text(account - others)}, this bot's trades make {as_text(own)}:"
            " no orders are placed until they agree"
        )
        if self._condition is None:
            log.warning("%s (GRIDBOT_OTHERS_POSITION says what is not this bot's)", text)
            self._store.samples.add_error(now, "ledger_differs", text)
        params = {"ledger": as_text(own), "account": as_text(account - others)}
        self._condition = Condition(Code.LEDGER_DIFFERS, text, params)

    def _others(self, beyond: Decimal) -> Decimal:
        """Return what others hold: as the environment says, else as the run's first look found it."""
        if (known := self.others) is not None:
            return known
        others = beyond if abs(beyond) > self._settings.quantity else ZERO
        self._store.set_fact(OTHERS, as_text(others))
        if others:
            own = self._store.ledger.position
            log.warning(
                "the account holds %s %s, this bot's trades make %s: the rest is others', and left alone",
                as_text(own + others),
                self._base,
                as_text(own),
            )
        return others
