"""Run `backtest`: a config's strategy over recorded prices, in the bundled bot's own code.

It runs here and not in the image: the strategies need neither ccxt nor an engine, and a file of prices need
not be mounted anywhere. It is a process of its own, because the manager imports nothing of a bot.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from manager.config import fleet_settings, loader
from manager.config.spec import InstanceSpec
from manager.errors import BAD_CONFIG, OK, ConfigError, ManagerError, UsageError
from manager.fleet import condition_messages, image_variables
from manager.fleet.project import Project
from manager.fleet.selection import require_config
from manager.fleet.session import Session
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text, _, labelled, mark
from manager.util import bundle, console
from manager.util.real_path import real_path

OPTIONS = ("svg", "maker_fee", "taker_fee", "market_spread", "queue", "funding_rate")
LABELS = {
    "symbol": mark("symbol"),
    "rows": mark("rows"),
    "first_price": mark("first price"),
    "last_price": mark("last price"),
    "pnl": mark("P&L after fees and funding"),
    "realized": mark("realized"),
    "unrealized": mark("unrealized"),
    "fees": mark("fees"),
    "funding": mark("funding"),
    "position": mark("position at the end"),
    "trades": mark("trades"),
    "round_trips": mark("round trips"),
    "profit_per_grid": mark("profit per round trip, after fees"),
    "maker_share": mark("share of maker trades"),
    "max_drawdown": mark("largest drawdown"),
    "capital": mark("capital at the largest position"),
    "apr": mark("profit a year, as a share of the capital"),
    "ended_by": mark("ended by"),
}


def backtest(session: Session, args: Namespace) -> int:
    """Run it and print the result as a table or as JSON."""
    project = session.project()
    if not project.fleet.is_bundled_bot:
        raise UsageError("backtest runs the bundled bot's strategies, and this fleet has an image of its own")
    spec = _spec(args.config_file, project)
    _require_readable(args.data)
    program = bundle.folder() / "docker" / "bot" / "backtest.py"
    command = [sys.executable, str(program), *spec.command, "--data", args.data, "--json"]
    for name in OPTIONS:
        value = getattr(args, name)
        if value is not None:
            command.append(f"--{name.replace('_', '-')}={value}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    # The program's packages lie beside it, where Python does not look with that variable.
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if completed.returncode:
        lines = completed.stderr.strip().splitlines() or [""]
        console.error(Text("{instance}: {why}", instance=spec.id, why=lines[-1]))
        return BAD_CONFIG
    answer: dict[str, Any] = json.loads(completed.stdout)
    if args.json:
        console.say_json(answer)
    else:
        ended = condition_messages.message(Condition(**answer["end"]), answer["ended_by"], now=0)
        answer["ended_by"] = answer["ended_by"] if ended is None else str(ended)
        for key, label in LABELS.items():
            console.say(labelled(_(label), "-" if answer[key] is None else answer[key]))
    return OK


def _spec(word: str, project: Project) -> InstanceSpec:
    """Return what an id or a file describes. Raises UsageError, ConfigError.

    A file need not be of this fleet: it is loaded with the fleet's settings, as it would be in config/active.
    """
    path = Path(word)
    try:
        is_file = path.suffix == ".json" or path.exists()
        is_elsewhere = path.is_file() and real_path(path.parent) != real_path(project.fleet.config_dir)
    except OSError:  # a name that is too long for a file
        is_file = is_elsewhere = False
    if is_elsewhere:
        fleet, defaults = fleet_settings.load(project.fleet.project_dir)
        loaded = loader.load_file(path, image_variables.with_known(fleet), defaults, project.variables, {})
        if loaded.spec is None:
            raise ConfigError(loaded.problems)
        return loaded.spec
    named = project.select([], [word]) if is_file else project.select([word], [])
    [instance] = named or [word]
    require_config(instance, project)
    return project.specs[instance]


def _require_readable(file: str) -> None:
    """Raise UsageError for a file that is not there, ManagerError for one that cannot be read."""
    try:
        with Path(file).open("rb"):
            pass
    except FileNotFoundError as error:
        raise UsageError("{file}: no such file", file=file) from error
    except OSError as error:
        raise ManagerError("cannot read {file}: {why}", file=file, why=error.strerror or error) from error
