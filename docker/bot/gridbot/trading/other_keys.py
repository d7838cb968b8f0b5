"""Know whether a run goes on with keys that may be another account's than those it was made with.

A key may have been replaced by a newer one of the same account, which is no difference, or the bot may have
been given another account's: what its record holds lies on the first one then, and would be sold, or bought
back, on one that holds nothing of it. The two look alike until the account is asked what it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal

from gridbot.exchanges.venues import VENUES
from gridbot.runtime.log import log
from gridbot.store.store import Store

# The names under which a run keeps a digest of what says whose account it trades on, and that the account has
# not been seen yet to hold what the run's trades make.
ACCOUNT, UNPROVEN = "account_digest", "account_unproven"


def digest(exchange: str, credentials: Mapping[str, str]) -> str:
    """Return a digest of the credential that says whose account it is; no key can be read from it."""
    venue = VENUES[exchange]
    name = venue.account_key if venue.account_key in credentials else next(iter(venue.keys))
    return hashlib.sha256(f"gridbot {exchange} {credentials[name]}".encode()).hexdigest()[:16]


def note(store: Store, account: str, before: str | None, *, was_unproven: bool, least: Decimal) -> None:
    """Take down whose account the current run trades on. `before`: what the record had for the last start.

    What is below `least`, the smallest order, is the dust of fees: it cannot be sold, on no account.
    """
    holds = abs(store.ledger.position) >= least and bool(store.ledger.position)
    is_new = before not in (None, account) and holds
    if is_new or (was_unproven and holds):
        store.set_fact(UNPROVEN, "1")
    store.set_fact(ACCOUNT, account)
    if is_new:
        log.warning(
            "the keys are others than at the last start: no orders are placed until the account is seen to"
            " hold the position of this record"
        )


def is_unproven(store: Store) -> bool:
    """Tell whether the account has not been seen yet to hold what the run's trades make."""
    return store.fact(UNPROVEN) == "1"


def prove(store: Store) -> None:
    """Take down that it holds that."""
    if is_unproven(store):
        store.set_fact(UNPROVEN, "")
        log.info("the account holds the position of this record: the keys are of the same account")
