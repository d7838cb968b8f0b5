"""Watch the account's position: it has to be what this bot's trades make, and what others hold beside it."""

from __future__ import annotations

from decimal import Decimal

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.model.condition import Code, Condition
from gridbot.model.errors import ExchangeError, UnclearError, UnreachableError
from gridbot.model.types import ZERO, Side, SpotCoins, as_text
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.store.store import Store
from gridbot.trading import other_keys, others_part
from gridbot.trading.late_fills import LATE_FILL_S
from gridbot.trading.listing import Reconciliation, on_the_way
from gridbot.trading.missing import LOST_AFTER_S
from gridbot.trading.others_part import APART_FROM_BOTS, OTHERS, WORDS_WITHIN_S, OthersPosition
from gridbot.trading.unknown_orders import UnknownOrders

LOOK_EVERY_S = 30.0
# With a small share of the requests looks are rarer, so that ticks are not; but never rarer than this.
MOST_LOOK_EVERY_S = 300.0
# Histories list an execution later than the position shows it; so a difference counts when it is still there
# after this long.
SECOND_LOOK_S = 5.0
# Longer than any history lags behind: an order that was filled by then is booked, or never will be.
BOOKED_WITHIN_S = 600.0
# For so long nobody is taken to have paid coins in.
RECENT_S = 2 * LOOK_EVERY_S
# Beside other bots of the fleet a difference counts when so many newer words of what they hold do not
# explain it.
WORDS = 2


def own_position(settings: Settings, store: Store, exchange: Exchange) -> Decimal | None:
    """Return what the exchange says that this bot holds: the account's position without others' part.

    None where it does not say. Raises ExchangeError.
    """
    account = exchange.position() if settings.live else None
    return others_part.own_part(settings, store.fact, account, store.ledger.position)


class PositionWatch:
    """Compare both at intervals, and remember a difference until they agree again.

    What the account holds at the run's first look beyond this bot's trades belongs to others (a person,
    another bot): it is stored with the run, and left alone. What other bots of the fleet hold is known from
    the manager, and may change. From then on a difference of more than one order means that this bot's record
    is wrong, or that a person or program trades beside it: nothing is placed.

    A spot account has no position, and what it holds beyond this bot's trades may be anybody's, and come and
    go; but it has to hold what they make. What it has lent is held, too; where that is not known, a lack is
    a warning.
    """

    def __init__(self, settings: Settings, exchange: Exchange, store: Store, base: str, pace: Pace) -> None:
        self._base, self._pace = base, pace
        self._settings, self._exchange, self._store = settings, exchange, store
        self._looked_at: float | None = None
        self._differs_since: float | None = None
        self._condition: Condition | None = None
        self._word: OthersPosition | None = None
        self._words = 0
        self._word_at = 0.0
        self._sighting: OthersPosition | None = None
        self._sighted_at = 0.0
        self._is_unclear = self._is_blind = self._is_lacking = False
        self._is_unproven = other_keys.is_unproven(store)
        self._pass, self._unknown = Reconciliation(), UnknownOrders()
        self._explained_since: float | None = None
        self.account: Decimal | None = None
        # What a spot account held beyond this bot's trades at the last two looks.
        self._beyond: tuple[Decimal | None, Decimal | None] = (None, None)

    def coins(self, now: float) -> SpotCoins | None:
        """Return what is known of a spot account's coins; None while something of it is not, or is old."""
        if self._looked_at is None or not 0 <= now - self._looked_at <= RECENT_S:
            return None
        before, last = self._beyond
        kept = self._store.kept_share(self._store.run_id, self._base)
        if before is None or last is None or kept is None:
            return None
        # A sale that is listed later than the balance tells of it hides as many of another's coins from one
        # look.
        return SpotCoins(max(before, last), kept)

    @property
    def others(self) -> Decimal | None:
        """Return what others hold in the account, None while nothing was compared yet."""
        return others_part.held_by_others(
            self._settings, self._store.fact, self._word.position if self._word else None
        )

    @property
    def has_neighbours(self) -> bool:
        """Tell whether other bots of the fleet trade on this account and market."""
        return self._word is not None

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether nothing may be placed: both differ, the last look has not said what is held, or
        other keys than before may be another account's.
        """
        return self._condition is not None or self._is_unclear or self._is_unproven

    @property
    def condition(self) -> Condition | None:
        """Return the condition, None while both agree or are not known to differ."""
        return self._condition or self._unknown.condition

    def look_soon(self) -> None:
        """Compare both with the next tick."""
        self._looked_at = None

    def note_pass(self, result: Reconciliation) -> None:
        """Remember what the pass before the next look has listed.

        Executions are listed late, and a price that jumps over several levels fills more than one order: as
        far as those of this bot that may be filled by now explain it, no difference counts.
        """
        self._pass = result

    def look(self, now: float) -> None:
        """Compare both when it is time to. Raises ExchangeError."""
        self._unknown.look(self._pass, self._store.ledger.position, now)
        if not self._settings.live:
            return
        call = "fetch_positions" if self._settings.perp else "fetch_balance"
        pause = self._pace.spacing(call, LOOK_EVERY_S, MOST_LOOK_EVERY_S)
        if self._differs_since is not None or self._is_unclear:
            pause = SECOND_LOOK_S
        elif self._beyond[0] is None and self._beyond[1] is not None:
            pause = min(pause, LATE_FILL_S)  # two looks are needed, and no sale is late for both
        if self._looked_at is not None and 0 <= now - self._looked_at < pause:
            return
        if not self._settings.perp:
            self._look_at_holdings(now)
            return
        try:
            account = self._exchange.position()
        except UnclearError as err:
            self._looked_at, self.account = now, None
            self._note_unclear(str(err), now)
            return
        self._looked_at, self.account = now, account
        self._note_answer()
        if account is None:
            return
        self._word = others_part.read_others_position(self._settings.others_file)
        if not self._is_blind_beside_others(now):
            self._compare(account, now)

    def _note_answer(self) -> None:
        """Take down that the exchange has answered; what cannot be compared keeps no bot from trading."""
        self._is_unproven = False
        if self._is_unclear:
            self._is_unclear = False
            self._condition = None
            log.info("the exchange says again what the account holds")

    def _look_at_holdings(self, now: float) -> None:
        """Compare what a spot account holds at least with what this bot's trades make, where it says it."""
        self._looked_at, self._beyond = now, (self._beyond[1], None)
        try:
            held = self._exchange.holdings()
        except UnreachableError as err:
            if other_keys.is_unproven(self._store):  # the next answer may be that it holds nothing of it
                self._note_unclear(str(err), now)
            else:
                log.info("what the account holds is unknown: %s", err)
            return
        except ExchangeError as err:
            self._note_answer()
            log.info("what the account holds is unknown: %s", err)
            return
        self._note_answer()
        self._word = others_part.read_others_position(self._settings.others_file)
        if held is None or self._is_blind_beside_others(now):
            return
        if self._word is None:
            self._beyond = (self._beyond[0], held - self._store.ledger.position)
        told = self._settings.others_position or ZERO
        # What is told to be others' explains less, and never asks for more: it is theirs to take away.
        others = min(told, ZERO) + (max(self._word.position, ZERO) if self._word else ZERO)
        needed = self._store.ledger.position + others
        lent = self._lent() if self._difference(min(held, needed), others, now) else ZERO
        if lent is None:
            self._note_lack(needed, held, now)
        else:
            self._judge(min(held + lent, needed), others, now)

    def _lent(self) -> Decimal | None:
        try:
            return self._exchange.lent()
        except ExchangeError as err:
            log.info("what the account has lent is unknown: %s", err)
            return None

    def _note_lack(self, needed: Decimal, held: Decimal, now: float) -> None:
        """Warn of coins that are not there, and may be lent: seen twice, and once until they are there."""
        if self._condition is not None:
            return
        if self._differs_since is None:
            self._differs_since = now
            return
        self._differs_since = None
        if not self._is_lacking:
            self._is_lacking = True
            text = (
                f"the account's balance is {as_text(held)}, and by the trades here it has to be"
                f" {as_text(needed)}; what is lent cannot be read, so orders are placed all the same"
            )
            log.warning("%s", text)
            self._store.samples.add_error(now, "not_compared", text)

    def _note_unclear(self, why: str, now: float) -> None:
        """Take down that what is held is unknown, which is no position of 0; seen twice it is a condition."""
        text = f"what the account holds cannot be read ({why}): no orders are placed until it can"
        if not self._is_unclear:
            self._is_unclear = True
            log.warning("%s", text)
            self._store.samples.add_error(now, "unknown", text)
        else:
            own = as_text(self._store.ledger.position)
            params = {"ledger": own, "account": "?", "cause": "unreadable", "error": why}
            self._condition = Condition(Code.LEDGER_DIFFERS, text, params)

    def _is_blind_beside_others(self, now: float) -> bool:
        """Tell whether other bots trade on this account, as somebody wants, and nobody says what they hold.

        Then their trades and a fault of this bot's record look alike, and stopping would stop all of them.
        """
        is_blind = self._word is not None and not self._word.is_of(now, WORDS_WITHIN_S)
        if is_blind:
            self._differs_since = self._sighting = self._explained_since = None
            if not self._is_blind:
                text = (
                    "other bots of the fleet trade on this account, and nobody tells what they hold: the"
                    " account's position is not compared with this bot's trades (run `manager watch`)"
                )
                log.warning("%s", text)
                self._store.samples.add_error(now, "not_compared", text)
        elif self._is_blind:
            log.info("what other bots of the fleet hold is known again")
        self._is_blind = is_blind
        return is_blind

    def _compare(self, account: Decimal, now: float) -> None:
        own = self._store.ledger.position
        others = self._others(account - own, now)
        if others is not None:
            self._judge(account, others, now)

    def _judge(self, account: Decimal, others: Decimal, now: float) -> None:
        own = self._store.ledger.position
        if not self._difference(account, others, now):
            self._is_lacking = False
            if self._condition is not None:
                log.info("the account holds again what this bot's trades make: %s", as_text(own))
            self._differs_since = self._condition = None
            other_keys.prove(self._store)
            return
        self._is_unproven = other_keys.is_unproven(self._store)
        if self._differs_since is None:
            self._differs_since, self._words, self._word_at = now, 0, now
            return
        if self._condition is None and not self._is_confirmed(now):
            return
        text = f"the account holds {as_text(account - others)}, this bot's trades make {as_text(own)}"
        if self._word is not None:
            text += f" (and those of the fleet's other bots {as_text(self._word.position)} besides)"
        if self._is_unproven:
            text += " (the keys are others than they were: they may be another account's)"
        text += ": no orders are placed until they agree"
        if self._condition is None:
            log.warning(
                "%s (what other bots of the fleet hold here is told by `manager watch` while it runs;"
                " GRIDBOT_OTHERS_POSITION tells what no bot holds)",
                text,
            )
            self._store.samples.add_error(now, "ledger_differs", text)
        params = {"ledger": as_text(own), "account": as_text(account - others)}
        self._condition = Condition(Code.LEDGER_DIFFERS, text, params)

    def _difference(self, account: Decimal, others: Decimal, now: float) -> Decimal:
        """Return by what both differ that no order on its way explains, 0 for no more than one order.

        What may explain a difference does not end one that counts already, nor explain one for ever. Of an
        account that may be another one nothing does, and half of the position is too much.
        """
        own = self._store.ledger.position
        most, difference = self._settings.quantity, account - others - own
        is_unproven = bool(own) and other_keys.is_unproven(self._store)
        if is_unproven:
            most = min(most, abs(own) / 2)
        if abs(difference) <= most:
            self._explained_since = None
            return ZERO
        if self._explained_since is None or self._explained_since > now:
            self._explained_since = now
        if self._condition is None and not is_unproven and now - self._explained_since <= BOOKED_WITHIN_S:
            amounts = on_the_way(self._pass, self._store.live_orders())
            difference -= min(max(difference, -amounts[Side.SELL]), amounts[Side.BUY])
        return difference if abs(difference) > most else ZERO

    def _is_confirmed(self, now: float) -> bool:
        """Tell whether a difference that was seen before is none that other bots' latest trades explain."""
        if self._word is None:
            return True
        self._word_at = min(
            self._word_at, now
        )  # words after a clock that was set back are newer all the same
        if self._word_at < self._word.at <= now:
            self._words, self._word_at = self._words + 1, self._word.at
        return self._words >= WORDS

    def _others(self, beyond: Decimal, now: float) -> Decimal | None:
        """Return what others hold: as the environment says, else as the run's first look found it.

        None while that is not settled, because the other bots' part is as old as it is.
        """
        word, known, stored = self._word, self.others, self._store.fact(OTHERS)
        is_apart = word is None or bool(self._store.fact(APART_FROM_BOTS))
        if known is not None and (is_apart or self._settings.others_position is not None):
            return known
        bots = word.position if word else ZERO
        if stored is None and other_keys.is_unproven(self._store):
            return bots  # what an account lacks that may be another one is not others'
        others = beyond - bots
        if abs(others) <= self._settings.quantity:
            others = ZERO
        elif stored is not None and abs(beyond - Decimal(stored)) > self._settings.quantity:
            return bots  # what the run began with was other bots' part, too, and has changed
        elif word is not None and not self._is_found_again(others, word, now):
            return None
        self._sighting = None
        self._store.set_fact(OTHERS, as_text(others))
        if word is not None:
            self._store.set_fact(APART_FROM_BOTS, "1")
        if others and stored is None:
            own = self._store.ledger.position
            log.warning(
                "the account holds %s %s, this bot's trades make %s: the rest is others', and left alone",
                as_text(beyond + own - bots),
                self._base,
                as_text(own),
            )
        return others + bots

    def _is_found_again(self, others: Decimal, word: OthersPosition, now: float) -> bool:
        """Tell whether a newer word of the other bots leaves the same rest to others as the first look.

        What another bot has traded just before may be listed late, and then its words lack it for as long:
        taken for a person's, it would be a difference for ever.
        """
        earlier = self._sighting
        if earlier is not None and abs(earlier.position - others) <= self._settings.quantity:
            lasts = now - self._sighted_at  # a clock that was set back begins anew
            if lasts >= 0:
                return (word.at > earlier.at and lasts > LOST_AFTER_S) or lasts > WORDS_WITHIN_S
        self._sighting, self._sighted_at = OthersPosition(others, word.at), now
        return False
