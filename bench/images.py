"""Measure one container: the image's size, from start to healthy, and output through the supervisor."""

from __future__ import annotations

import json
import re
import statistics
import threading
import time
from datetime import datetime
from functools import partial
from typing import Any

from bench import floor
from bench.engine import Api
from bench.measure import Comparison, Table, alternating
from bench.project import PREFIX, ROOT, Project, Workshop, answers
from bench.shell import run

LINE_BYTES = 120
PUMP_TIMEOUT_S = 300
DONE_LINE = re.compile(r"^bench-done (\S+)$", re.MULTILINE)
"""The bot's last line; the supervisor may still have something to say after it."""
STRAIGHT = ["/opt/venv/bin/python", "-u", "/app/run.py"]
"""What the image's supervisor runs, as the container's own entry point."""
BUNDLED_CONFIG = ROOT / "config" / "active" / "bp_sol_01.json"


def table(shop: Workshop, api: Api, rounds: int, *, bundled: bool) -> Table:
    """Return size and start of the benchmark's bot and of the bundled one."""
    rows = [_image_row("the benchmark's bot", shop.project(1), api, rounds)]
    if bundled:
        tag = f"{PREFIX}{shop.run_id}-bundled:local"
        shop.build(tag, None)
        project = shop.project(1)
        project.image = tag
        project.configure(variables=["GRIDBOT_*"])
        config = json.loads(BUNDLED_CONFIG.read_text())
        config["metadata"]["instance_id"] = project.ids[0]
        config["daemon_config"] = {"web_port": project.first_port}
        (project.folder / "config" / "active" / f"{project.ids[0]}.json").write_text(json.dumps(config))
        rows.insert(0, _image_row("the bundled bot", project, api, rounds))
    words = "`up` is the whole command; the other two are from when the engine had started the container."
    heads = ["bot", "image", "`manager up` to /health 200", "container started to /health 200", "slowest"]
    return Table("Image and start", heads, rows, words)


def _image_row(name: str, project: Project, api: Api, rounds: int) -> list[str]:
    size = int(api.call("GET", f"/images/{project.image}/json")["Size"])
    sizes, own = [], []
    for _round in range(rounds):
        began = time.time()
        healthy_at = _up_until_healthy(project)
        state: dict[str, Any] = api.inspect(project.container(project.ids[0]))["State"]
        started = datetime.fromisoformat(state["StartedAt"][:26].rstrip("Z") + "+00:00").timestamp()
        sizes.append(healthy_at - began)
        own.append(healthy_at - started)
        project.manager("down")
    middle = [f"{statistics.median(samples):.2f} s" for samples in (sizes, own)]
    return [name, f"{size / 1e6:.0f} MB", *middle, f"{max(own):.2f} s"]


def _up_until_healthy(project: Project) -> float:
    """Run `up`, and tell the moment of the first good answer, which may be before `up` ends."""
    moments: list[float] = []

    def watch() -> None:
        deadline = time.time() + 120
        while time.time() < deadline:
            if answers(project.first_port):
                moments.append(time.time())
                return
            time.sleep(0.01)

    watcher = threading.Thread(target=watch, daemon=True)  # no interruption waits for it
    watcher.start()
    project.manager("up", environ={"GRIDBOT_MARKET": "synthetic"})
    watcher.join()
    return moments[0]


def pump(shop: Workshop, api: Api, megabytes: int, rounds: int) -> list[Comparison]:
    """Return the seconds to write so much through the supervisor, and straight to the engine's log driver.

    Raises when a line is lost.
    """
    project = shop.project(1, container__log_max_size_mb=2000)
    project.manager("compose")
    ((name, body),) = floor.bodies(project, api).items()
    lines = megabytes * 1_000_000 // LINE_BYTES
    body = {**body, "Env": [*body["Env"], f"BENCH_LINES={lines}"]}
    free = {**body, "HostConfig": {**body["HostConfig"], "NanoCpus": 0}}
    floor.create_network(project, api)
    rows = []
    for limit, limit_text in ((1 / 0.9, "no CPU limit"), (None, "80 % of a core for both")):
        through = free if limit else body
        straight = {**through, "Entrypoint": STRAIGHT, "Cmd": []}
        contenders = {
            "through": partial(_write, api, name, through, lines),
            "straight": partial(_write, api, name, straight, lines),
        }
        times = alternating(contenders, rounds, shop.share(0.5))
        work = f"{megabytes} MB through the supervisor, {limit_text}"
        rows.append(
            Comparison(work, None, times["through"], "straight to the log driver", times["straight"], limit)
        )
    project.remove_containers()
    return rows


def _write(api: Api, name: str, body: dict[str, Any], lines: int) -> float:
    """Run a bot that writes.

    Return the seconds that it took by its own clock. Every line must have arrived.
    """
    made = api.create(name, body)
    try:
        api.start(made)
        deadline = time.monotonic() + PUMP_TIMEOUT_S
        while not (last := DONE_LINE.search(run(["docker", "logs", "--tail", "5", made]).out)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{lines} lines were not written within {PUMP_TIMEOUT_S} s")
            time.sleep(0.2)
        arrived = _count_lines(made)
        if arrived != lines:
            raise AssertionError(f"{lines} lines were written and {arrived} arrived")
        return float(last[1])
    finally:
        api.stop_and_remove(made)


def _count_lines(container: str) -> int:
    script = "docker logs $0 2>/dev/null | grep -c '^[0-9]\\{9\\}x'"
    return int(run(["sh", "-c", script, container], codes=(0, 1)).out)
