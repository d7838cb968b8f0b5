"""Let the pre-flight checks decide whether a run with real money may place its first order."""

from __future__ import annotations

from collections.abc import Mapping

from gridbot.config.settings import Settings
from gridbot.exchanges.account_facts import OwnPart, read_facts
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.check import Check, Level
from gridbot.model.errors import ConfigError, RefusedError
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.trading.preflight import KEYS_REFUSED, check_run
from gridbot.trading.session import Session
from gridbot.trading.worst_case import running_grid

# "warn" lets a run begin in spite of what failed.
SETTING = "GRIDBOT_PREFLIGHT"


def require_sound(settings: Settings, store: Store, session: Session, env: Mapping[str, str]) -> None:
    """Check the run. Raises RefusedError where a check fails and nothing of this run is at the exchange yet.

    A run that has ordered or holds something goes on, whatever is wrong: stopping it would not help, and
    an update of the bot must not end what ran before it.
    """
    choice = env.get(SETTING) or "fail"
    if choice not in ("fail", "warn"):
        raise ConfigError(f"{SETTING}: must be fail or warn, not {choice}")
    if not settings.live or not isinstance(session.exchange, CcxtExchange):
        return
    facts = read_facts(
        session.exchange, session.market, lambda: OwnPart(store.ledger.position, store.live_orders())
    )
    running = running_grid(settings, session.market, store.grid())
    checks = check_run(settings, session.market, facts, running)
    # Refused keys end the first tick anyhow, with a code of their own.
    failed = [check for check in checks if check.level is Level.FAIL and check.code != KEYS_REFUSED]
    for check in checks:
        if check.level is not Level.OK:
            log.warning("pre-flight: %s", _line(check))
    has_begun = store.ledger.position or store.has_ordered() or store.live_orders()
    if failed and choice == "fail" and not has_begun:
        raise RefusedError(f"pre-flight: {'; '.join(_line(check) for check in failed)}")


def _line(check: Check) -> str:
    return f"{check.text} ({check.remedy})" if check.remedy else check.text
