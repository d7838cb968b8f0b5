"""A Prometheus and an Alertmanager of the tests' own, on ports of their own, ended afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import ports
from tests.fleet import ROOT, eventually

TOOLS = ROOT / ".venv" / "test-tools" / "usr" / "bin"
"""Where scripts/test-tools.sh unpacks them: installing Debian's packages would start them."""


def tool(name: str) -> str | None:
    """Return the path of a program, the tests' own first; None where it is missing."""
    return shutil.which(name, path=str(TOOLS)) or shutil.which(name)


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query."""
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{words}", timeout=10) as answer:
            response = json.load(answer)
        assert response["status"] == "success", response
        samples: list[dict[str, Any]] = response["data"]["result"]
        return samples

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@contextmanager
def running(folder: Path, config: dict[str, Any]) -> Iterator[Prometheus]:
    """Start a Prometheus with this configuration and an Alertmanager whose webhook it names."""
    port = ports.reserve()
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [
        str(tool("prometheus")),
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with process(folder, command):
        prometheus = Prometheus(port)
        eventually(prometheus.is_ready, 30, what="Prometheus is ready")
        yield prometheus


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Start an Alertmanager that posts to a webhook at once; yield its address."""
    port = ports.reserve()
    route = {"receiver": "webhook", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    receivers = [{"name": "webhook", "webhook_configs": [{"url": webhook, "send_resolved": True}]}]
    path = folder / "alertmanager.yml"
    path.write_text(json.dumps({"route": route, "receivers": receivers}))
    command = [
        *with_templates(),
        str(tool("prometheus-alertmanager")),
        f"--config.file={path}",
        f"--storage.path={folder / 'alerts'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with process(folder, command):
        yield f"127.0.0.1:{port}"


def with_templates() -> list[str]:
    """Return what puts Debian's templates of the Alertmanager in their place for one process.

    Their path is compiled in.
    """
    if not TOOLS.is_dir():
        return []
    is_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    overlay = 'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"'
    return ["unshare", "--mount", *is_root, "sh", "-c", overlay, str(TOOLS.parent / "share")]


@contextmanager
def process(folder: Path, command: Sequence[str]) -> Iterator[None]:
    """Run a program meanwhile; its output is in the folder."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        made = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
        finally:
            made.terminate()
            made.wait(20)
