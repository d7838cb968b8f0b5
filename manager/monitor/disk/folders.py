"""Measure what an instance's folders take now."""

from __future__ import annotations

import time
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet.instance import Instance
from manager.monitor.disk.growth import Sample
from manager.util import folder_size

MAX_ENTRIES = 1_000_000
"""Of one instance: some seconds. A bot that has more is over every sensible limit."""


def of_instance(fleet: Fleet, view: Instance) -> tuple[Path, ...]:
    """Return the folders that the instance's bot writes."""
    return (
        fleet.database_dir(view.id),
        fleet.log_dir(view.log_dir),
        fleet.instance_state_dir(view.id),
    )


def measure(fleet: Fleet, view: Instance, within_s: float) -> Sample:
    """Return what they take; not the whole of it if that takes longer than `within_s`."""
    measured = folder_size.measure(of_instance(fleet, view), time.monotonic() + within_s, MAX_ENTRIES)
    return Sample(time.time(), measured.size, measured.files, measured.is_whole)
