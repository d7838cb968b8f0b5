"""Find live bots of different machines that trade on one account. Pure.

A start is refused before it comes to that; what runs already, or was started where nobody asked, is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from manager.config import bot_environment
from manager.config.bot_environment import Account
from manager.i18n import Text, mark
from manager.ops.hosts.accounts import Trading
from manager.ops.hosts.registry import HERE
from manager.typed import NamedTuple

BOTH = mark(
    "{first_id} on {first_host} and {second_id} on {second_host} both trade {symbol} live on {exchange},"
    " apparently with the same credentials, and cancel each other's orders: halt one of them, `{first_halt}`"
    " or `{second_halt}`"
)
RETURNING = mark(
    "{first_id} on {first_host} and {second_id} on {second_host} are set to trade {symbol} live on"
    " {exchange}, apparently with the same credentials; one of them is down, and may start again by itself:"
    " halt one, `{first_halt}` or `{second_halt}`"
)
UNREAD = mark(
    "{first_id} on {first_host} and {second_id} on {second_host} both trade {symbol} live on {exchange}, and"
    " the credentials of one cannot be read: it may be one account"
)


class Side(NamedTuple):
    """Hold one of two bots. `is_up`: it runs, and is not about to. `is_old`: its machine does not answer."""

    host: str
    instance: str
    is_up: bool = True
    is_old: bool = False


class SharedAccount(NamedTuple):
    """Hold two live bots of two machines on one account.

    `is_certain`: their credentials could be compared.
    """

    first: Side
    second: Side
    exchange: str
    symbol: str
    is_certain: bool = True

    @property
    def sides(self) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
        """Return each of them, with the other one."""
        return (self.first, self.second), (self.second, self.first)

    @property
    def text(self) -> Text:
        """Return what it is, and what to do."""
        what = Text(
            self._words,
            **_names("first", self.first),
            **_names("second", self.second),
            exchange=self.exchange,
            symbol=self.symbol,
        )
        old = [side.host for side in (self.first, self.second) if side.is_old]
        return Text("{what} (as last seen: {hosts})", what=what, hosts=", ".join(old)) if old else what

    @property
    def _words(self) -> str:
        if not self.is_certain:
            return UNREAD
        return BOTH if self.first.is_up and self.second.is_up else RETURNING


def _names(which: str, side: Side) -> dict[str, str]:
    prefix = "" if side.host == HERE else f"--host {side.host} "
    halt = f"manager {prefix}halt {side.instance}"
    return {f"{which}_id": side.instance, f"{which}_host": side.host, f"{which}_halt": halt}


def find(
    machines: Mapping[str, Sequence[Trading]], old: frozenset[str] = frozenset()
) -> Iterator[SharedAccount]:
    """Yield the pairs. Machine → its live bots, all with fingerprints under one key. `old`: as last seen."""
    for (host, mine), (other_host, theirs) in combinations(machines.items(), 2):
        for one in mine:
            for other in theirs:
                account, other_account = one.account, other.account
                if (one.is_up or other.is_up) and (
                    bot_environment.is_same(account, other_account)
                    or bot_environment.is_same(other_account, account)
                ):
                    yield SharedAccount(
                        Side(host, one.instance, one.is_up, host in old),
                        Side(other_host, other.instance, other.is_up, other_host in old),
                        account.exchange,
                        account.symbol,
                        is_certain=_is_read(account) and _is_read(other_account),
                    )


def _is_read(account: Account) -> bool:
    return account.credentials is not None and account.given is not None
