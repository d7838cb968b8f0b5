"""Find live bots of which neither a container nor a config is left, and that may have left orders.

Somebody removed the one (`docker rm -f`) and the other: only the files of its state folder tell of it then.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet import supervisor_state, tombstone
from manager.fleet.instance import Instance
from manager.fleet.state_file import FleetState
from manager.fleet.status import Status
from manager.util import strict_json


def find(fleet: Fleet, known: Collection[str], state: FleetState) -> dict[str, Instance]:
    """Return them by id: until `manager down ID`, which says what is known and is a person's word.

    `known`: the instances that have a config, here or of another machine, or a container.
    """
    forgotten = (
        _instance(fleet, instance, state) for instance in _folders(fleet.state_dir) if instance not in known
    )
    return {instance.id: instance for instance in forgotten if instance is not None}


def _folders(state_dir: Path) -> Iterable[str]:
    """Return the instances that have had a supervisor, or whose bot has reported."""
    try:
        with os.scandir(state_dir) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith("."))


def _instance(fleet: Fleet, instance: str, state: FleetState) -> Instance | None:
    from manager.fleet import bot_report, leftovers  # for the few that have such a folder

    state_dir = fleet.instance_state_dir(instance)
    supervisor, report = supervisor_state.read(state_dir), bot_report.read_kept(state_dir)
    if supervisor is None and report is None:
        return None
    view = Instance(
        instance,
        Status("missing"),
        (),
        None,
        None,
        supervisor,
        state.of(instance),
        report=report,
        tombstone=tombstone.find(fleet, instance),
        mode_of_files=(report.report.mode if report is not None else None) or _mode(fleet, instance),
    )
    may_have_left = leftovers.may_have_left_orders(view) and not leftovers.was_taken_down(view)
    return view if may_have_left or leftovers.is_left_unknown(view) else None


def _mode(fleet: Fleet, instance: str) -> str | None:
    """Return live if its env file has a credential, of which paper bots get none; else None."""
    from manager.config.variables import looks_secret
    from manager.fleet.env_file import ENV_FILE

    try:
        content = strict_json.read(fleet.secrets_dir(instance) / ENV_FILE)
    except strict_json.JsonFault:
        return None
    has_credential = isinstance(content, dict) and any(looks_secret(name, "") for name in content)
    return "live" if has_credential else None
