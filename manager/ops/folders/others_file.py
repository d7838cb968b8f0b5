"""Write `secrets/ID/others.json`: what the fleet's other bots hold on an instance's account and market.

docker/README.md has the format. The folder is read-only in the container. A file that cannot be written
leaves a bot with what it was told before, and that grows old: its watchdog then takes less for granted.
"""

from __future__ import annotations

from decimal import Decimal

from manager.config.fleet import Fleet
from manager.ops.folders import bot_files

FILE = "others.json"


def write(fleet: Fleet, instance: str, position: Decimal, at: float) -> None:
    """Write what the others hold together, and until when that is known. Raises nothing."""
    content = {"schema": 1, "position": f"{position:f}", "at": round(at, 3)}
    bot_files.replace(fleet.secrets_dir(instance) / FILE, content)


def write_unknown(fleet: Fleet, instance: str) -> None:
    """Write that others trade there, where no file says it yet. Raises nothing."""
    if not (fleet.secrets_dir(instance) / FILE).exists():
        write(fleet, instance, Decimal(), 0.0)


def remove(fleet: Fleet, instance: str) -> None:
    """Remove the file of a bot that is alone on its account. Raises nothing."""
    bot_files.remove(fleet.secrets_dir(instance) / FILE)
