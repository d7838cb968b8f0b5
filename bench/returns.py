"""Measure what an exchange with its real limits refuses when many bots come back at one moment.

`python -m bench.returns` runs the bundled bot live, each under the supervisor, against the fake exchange: all
are started at once, as an engine starts them; the exchange is away for a while; everything is killed and
started at once again. Once as bots are without a share of the requests and a phase, and once with both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.requests import BOT, COMMAND, RULES, Recorder, allot, scaled_limits
from manager.config.fleet import Fleet
from manager.ops.requests import request_files
from tests import ports
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.server import FakeExchange
from tests.supervisor.harness import TIMINGS

LAUNCH = Path(__file__).resolve().parents[1] / "tests" / "supervisor" / "launch.py"
ENDS_WITHIN_S = 60


class Bot(NamedTuple):
    """Hold one instance: its folder, what its container runs, and its variables."""

    folder: Path
    command: list[str]
    environ: dict[str, str]


def main() -> None:
    """Print, for each moment, what was refused and how far apart the good ticks are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=50)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--share", type=float, default=1.0, help="of the limits, for a larger fleet's part")
    parser.add_argument("--levels", type=int, default=4, help="orders that each bot places first, and one")
    parser.add_argument("--rules", choices=sorted(RULES), default="aster")
    parser.add_argument("--seconds", type=float, default=100.0, help="from each return")
    parser.add_argument("--away", type=float, default=30.0, help="seconds of the outage")
    parser.add_argument("--only", choices=("without", "with"))
    options = parser.parse_args()
    for has_shares in (False, True):
        if options.only in (None, "with" if has_shares else "without"):
            print("with shares and phases" if has_shares else "without", flush=True)
            with tempfile.TemporaryDirectory() as name:
                _run(options, Path(name), has_shares=has_shares)


def _run(options: argparse.Namespace, folder: Path, *, has_shares: bool) -> None:
    limits = scaled_limits(options)
    fleet = Fleet("bench", folder, folder)
    with FakeExchange(limits=limits) as fake:
        accounts = {f"bot_{number:03}": fake.add_account() for number in range(options.bots)}
        told = allot(list(accounts), options) if has_shares else {}
        bots = []
        for instance, account in accounts.items():
            bots.append(_bot(fleet, instance, fake.env_of(account), options))
            if instance in told:
                request_files.write(fleet, instance, told[instance], time.time())
        processes = [_start(bot) for bot in bots]
        try:
            _look("started at once", limits, options)
            fake.faults.away_for(options.away, Fault.UNAVAILABLE)
            time.sleep(options.away)
            _look(f"back after {options.away:g} s", limits, options)
            _end(processes)
            processes = [_start(bot) for bot in bots]
            _look("killed, and started at once", limits, options)
        finally:
            _end(processes)


def _bot(fleet: Fleet, instance: str, keys: dict[str, str], options: argparse.Namespace) -> Bot:
    folder = fleet.data_dir / instance
    for name in ("logs", "state", "run", "cgroup", "data"):
        (folder / name).mkdir(parents=True)
    secrets = fleet.secrets_dir(instance)
    secrets.mkdir(parents=True)
    (secrets / "env.json").write_text(json.dumps(keys))
    paths = {name: str(folder / name) for name in ("logs", "state", "run", "cgroup")}
    paths["secrets"] = str(secrets)
    told = {"broken": False, "late_mark": False, "timings": TIMINGS, "paths": paths}
    (folder / "options.json").write_text(json.dumps(told))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DB_PATH": str(folder / "data" / "bot.db"),
        "WEB_PORT": str(ports.reserve()),
        "TRADING_MODE": "live",
        "BOTFLEET_INSTANCE": instance,
        "BOTFLEET_BOT_COMMAND": f"{sys.executable} {BOT}/run.py",
    }
    command = [
        *(sys.executable, "-I", "-S", str(LAUNCH), str(folder / "options.json"), *COMMAND),
        *("--interval", f"{options.interval:g}", "--grid-num", str(options.levels)),
    ]
    return Bot(folder, command, environ)


def _start(bot: Bot) -> subprocess.Popen[bytes]:
    with (bot.folder / "out").open("ab") as out:
        return subprocess.Popen(bot.command, env=bot.environ, cwd=bot.folder, stdout=out, stderr=out)


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Kill supervisors and bots at one moment, as a power cut does."""
    supervisors = [psutil.Process(process.pid) for process in processes if process.poll() is None]
    for process in [
        *supervisors,
        *(child for supervisor in supervisors for child in supervisor.children(recursive=True)),
    ]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for started in processes:
        started.wait(ENDS_WITHIN_S)


def _look(moment: str, limits: Recorder, options: argparse.Namespace) -> None:
    """Wait, and print what was refused meanwhile. A bot that does not tick has a gap up to the end."""
    requests, refused, bans = limits.requests, limits.refused, limits.bans
    began = time.monotonic()
    time.sleep(options.seconds)
    ended = time.monotonic()
    ticks = {
        account: [tick for tick in answered if began <= tick <= ended]
        for account, answered in limits.good.items()
    }
    firsts = [one[0] - began for one in ticks.values() if one]
    gaps = [later - earlier for one in ticks.values() for earlier, later in itertools.pairwise([*one, ended])]
    centiles = statistics.quantiles(gaps, n=100) if len(gaps) > 1 else [0.0] * 99
    asked = limits.requests - requests
    print(
        f"  {moment}: of {asked} requests {(limits.refused - refused) / max(asked, 1):.1%} refused,"
        f" {limits.bans - bans} bans; {len(firsts)} of {options.bots} bots tick,"
        f" the first after {min(firsts, default=0):.0f} s, the last after {max(firsts, default=0):.0f} s;"
        f" gap between good ticks p50 {centiles[49]:.1f} s, p99 {centiles[98]:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
