"""Measure what an exchange with its real limits refuses to many bots behind one address.

`python -m bench.requests` runs the bundled bot live against the fake exchange, which speaks as Backpack and
counts as Aster, Paradex or Bybit do: once as bots are without a
share of the requests, all started at once, and once with the shares and turns that the manager gives. A good
tick is one whose question for the open orders was answered. A small machine takes the part of a larger fleet:
`--bots 50 --share 0.25` has the load of 200 bots.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOT = ROOT / "docker" / "bot"
sys.path[:0] = [str(BOT)]

from manager.config import request_limits  # noqa: E402
from manager.config.fleet import Fleet  # noqa: E402
from manager.config.request_limits import RequestTable  # noqa: E402
from manager.ops.requests import request_budget, request_files  # noqa: E402
from manager.ops.requests.request_budget import Allotment, Caller  # noqa: E402
from tests import ports  # noqa: E402
from tests.fake_exchange.limits import ASTER, BYBIT, PARADEX, Limits, Refusal, Scope  # noqa: E402
from tests.fake_exchange.server import FakeExchange  # noqa: E402

COMMAND = (
    *("--exchange", "backpack", "--symbol", "SOL_USDC_PERP", "--strategy", "perp_grid"),
    *("--grid-upper", "160", "--grid-lower", "140", "--quantity", "0.1"),
)
TICK = "/api/v1/orders"
FILLS = "/wapi/v1/history/fills"
RULES = {"aster": ASTER, "paradex": PARADEX, "bybit": BYBIT}
LOOK_S = 15.0


@dataclass
class Recorder(Limits):
    """Note when each account's ticks were answered."""

    good: dict[str, list[float]] = field(default_factory=dict)

    def next(self, address: str, account: str | None, method: str, path: str) -> Refusal | None:
        """Count one request."""
        refusal = super().next(address, account, method, path)
        if refusal is None and account is not None and (method, path) == ("GET", TICK):
            self.good.setdefault(account, []).append(self.clock())
        return refusal


def main() -> None:
    """Print what was refused and how far apart the good ticks are, without and with shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=50)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=240.0, help="from the first request")
    parser.add_argument("--share", type=float, default=0.25, help="of the limits, for a larger fleet's part")
    parser.add_argument("--levels", type=int, default=10, help="orders that each bot places first, and one")
    parser.add_argument("--rules", choices=sorted(RULES), default="aster")
    parser.add_argument("--only", choices=("without", "with"))
    options = parser.parse_args()
    for has_shares in (False, True):
        if options.only in (None, "with" if has_shares else "without"):
            print("with shares and turns" if has_shares else "without, all at once", flush=True)
            _run(options, has_shares=has_shares)


def scaled_limits(options: argparse.Namespace) -> Recorder:
    """Return the exchange's limits of an address, for so many bots as there are here."""
    rules = RULES[options.rules]
    windows = tuple(  # every bot has an account of its own, so that only the address is shared
        replace(window, most=max(int(window.most * options.share), 1))
        for window in rules.windows
        if window.scope is Scope.ADDRESS
    )
    # The fake speaks as Backpack: a list of executions weighs there what it weighs at the other exchange.
    of_fills = int(scaled_table(options).exchanges["backpack"].weights.get("fetch_my_trades", 1))
    return Recorder(replace(rules, windows=windows, weights={("GET", FILLS): of_fills}))


def _run(options: argparse.Namespace, *, has_shares: bool) -> None:
    limits = scaled_limits(options)
    with tempfile.TemporaryDirectory() as name, FakeExchange(limits=limits) as fake:
        fleet = Fleet("bench", Path(name), Path(name))
        accounts = {f"bot_{number:03}": fake.add_account() for number in range(options.bots)}
        told = allot(list(accounts), options) if has_shares else {}
        processes: list[subprocess.Popen[bytes]] = []
        launched = time.monotonic()

        def start() -> None:
            for instance, account in accounts.items():
                fleet.secrets_dir(instance).mkdir(parents=True)
                if instance in told:
                    request_files.write(fleet, instance, told[instance], time.time())
                    time.sleep(max(launched + told[instance].phase - time.monotonic(), 0.0))
                processes.append(_bot(fleet, instance, fake.env_of(account), options))

        starter = threading.Thread(target=start)
        starter.start()
        try:
            while not limits.requests:
                time.sleep(0.1)
            began = time.monotonic()
            while (now := time.monotonic() - began) < options.seconds:
                _say(limits, now)
                time.sleep(min(LOOK_S, options.seconds - now))
            ended = time.monotonic()
        finally:
            starter.join()
            for process in processes:
                process.kill()
                process.wait()
        _sum_up(limits, ended, options.bots)


def allot(instances: list[str], options: argparse.Namespace) -> dict[str, Allotment]:
    """Return what the manager tells these bots, of limits that are scaled as the exchange's are."""
    table = scaled_table(options)
    tick = table.exchanges["backpack"].tick
    a_minute = tick * 60 / options.interval
    callers = [Caller(instance, "backpack", True, a_minute, instance) for instance in instances]
    for load in request_budget.loads(callers, table):
        print(f"  {load.text()}")
    told = request_budget.allot(callers, table)
    promised = max(
        options.interval, max(tick * 60 / share_told.share.a_minute for share_told in told.values())
    )
    print(f"  the shares promise a tick every {promised:.1f} s")
    return told


def scaled_table(options: argparse.Namespace) -> RequestTable:
    """Return the bot's table for the exchange whose rules count, scaled as the fake's limits are."""
    known = request_limits.load(Fleet("bench", ROOT, ROOT)).exchanges[options.rules]
    return RequestTable({"backpack": known._replace(address=known.address * options.share, account=0)})


def _bot(
    fleet: Fleet, instance: str, keys: dict[str, str], options: argparse.Namespace
) -> subprocess.Popen[bytes]:
    folder = fleet.secrets_dir(instance)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DB_PATH": str(folder / "bot.db"),
        "WEB_PORT": str(ports.reserve()),
        "TRADING_MODE": "live",
        "BOTFLEET_INSTANCE": instance,
        "BOTFLEET_REPORT": str(folder / "report.json"),
        "BOTFLEET_REQUESTS": str(folder / request_files.FILE),
    }
    with (folder / "bot.log").open("wb") as out:
        return subprocess.Popen(
            [
                *(sys.executable, str(BOT / "run.py"), *COMMAND),
                *("--interval", f"{options.interval:g}", "--grid-num", str(options.levels)),
            ],
            env=env | keys,
            cwd=folder,
            stdout=out,
            stderr=out,
        )


def _say(limits: Recorder, now: float) -> None:
    print(
        f"{now:5.0f} s: {limits.requests:6} requests, {limits.refused:6} refused, {limits.bans} bans,"
        f" {len(limits.good)} bots tick",
        flush=True,
    )


def _sum_up(limits: Recorder, ended: float, bots: int) -> None:
    """Print the result. A bot that does not tick any more has a gap up to the end."""
    gaps = sorted(
        later - earlier
        for ticks in limits.good.values()
        for earlier, later in itertools.pairwise([*(tick for tick in ticks if tick <= ended), ended])
    )
    centiles = statistics.quantiles(gaps, n=100) if len(gaps) > 1 else [0.0] * 99
    print(
        f"  {limits.refused / max(limits.requests, 1):.1%} of {limits.requests} requests refused,"
        f" {limits.bans} bans; gap between good ticks p50 {centiles[49]:.1f} s, p99 {centiles[98]:.1f} s;"
        f" {bots - len(limits.good)} bots without any",
        flush=True,
    )


if __name__ == "__main__":
    main()
