"""Return what `status` reports of one instance, in the old system's format."""

from __future__ import annotations

import time

from manager.fleet import causes, display, process_info
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.typed import Any
from manager.util import formatting

OLD_PYTHON = ".venv/bin/python3"
"""What the old system had where a config says nothing; scripts read the key. The image has its own."""


def status_object(view: Instance, snapshot: FleetSnapshot, pid: int) -> dict[str, Any]:
    """Return the JSON object of `status`."""
    why = view.status.why
    return {
        "running": view.status.is_running,
        "timestamp": formatting.iso_precise(time.time()),
        "pid": pid or None,
        "process_info": process_info.of(pid) if pid else None,
        "config": _config(view, snapshot),
        "instance_id": view.id,
        "state": view.status.state,
        "why": str(why) if why else None,
        "note": causes.note(view) or None,
        **display.doing_object(view),
    }


def _config(view: Instance, snapshot: FleetSnapshot) -> dict[str, Any]:
    """Return the file's daemon_config, with the port that is in use. Never contains a credential."""
    daemon: dict[str, Any] = snapshot.project.loaded.described(view.id).get("daemon_config", {})
    paths = {"log_dir": view.spec.log_dir, "db_path": view.spec.db_path} if view.spec else {}
    return {"python_path": OLD_PYTHON, **daemon, **paths, "web_port": view.web_port}
