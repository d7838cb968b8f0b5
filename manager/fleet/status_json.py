"""Return what `status` reports of one instance, in the old system's format."""

from __future__ import annotations

import time
from typing import Any

from manager.fleet import display
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.util import formatting


def status_object(view: Instance, snapshot: FleetSnapshot, pid: int) -> dict[str, Any]:
    """Return the JSON object of `status`."""
    why = view.status.why
    return {
        "running": view.status.is_running,
        "timestamp": formatting.iso_precise(time.time()),
        "pid": pid or None,
        "process_info": process_info(pid) if pid else None,
        "config": _config(view, snapshot),
        "instance_id": view.id,
        "state": view.status.state,
        "why": str(why) if why else None,
        **display.doing_object(view),
    }


def _config(view: Instance, snapshot: FleetSnapshot) -> dict[str, Any]:
    """Return the file's daemon_config, with the port that is in use. Never contains a credential."""
    daemon: dict[str, Any] = snapshot.project.loaded.described(view.id).get("daemon_config", {})
    paths = {"log_dir": view.spec.log_dir, "db_path": view.spec.db_path} if view.spec else {}
    return {**daemon, **paths, "web_port": view.web_port}


def process_info(pid: int) -> dict[str, Any] | None:
    """Return a process of the host in the old system's format; None if it does not exist."""
    import psutil  # 0.03 s that only `status` costs

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory, times, created = process.memory_info(), process.cpu_times(), process.create_time()
            elapsed = max(time.time() - created, 0.01)
            return {
                "name": process.name(),
                "cmdline": process.cmdline(),
                "create_time": formatting.iso_precise(created),
                "cpu_percent": round(100 * (times.user + times.system) / elapsed, 1),
                "memory_info": {
                    "rss": memory.rss,
                    "vms": memory.vms,
                    "rss_mb": round(memory.rss / formatting.MIB, 1),
                },
                "status": process.status(),
                "num_threads": process.num_threads(),
            }
    except psutil.Error:
        return None
