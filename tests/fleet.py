"""A project of its own for each test, on a real engine: own fleet name, ports and folders, removed
afterwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from manager.engine.endpoint import local
from tests import forks, managers, ports
from tests.builders import a_config, write_config
from tests.forks import Fork

ROOT = Path(__file__).resolve().parents[1]
RUN_ID = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex[:8]
"""In the name of everything that a test run makes; the same in all its workers (tests/conftest.py)."""
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
PORTS_PER_PROJECT = 20
IMAGES = "botfleet-test-*"
BUILD_S = 1800
"""A first build on a fresh machine makes the base image too."""

_numbers = itertools.count()


@dataclass
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """A project folder whose fleet nobody else has."""

    folder: Path
    name: str
    first_port: int
    environ: dict[str, str] = field(default_factory=dict)

    def add(self, instance: str, port: int | None = 0, *, stem: str | None = None, **sections: Any) -> Path:
        """Writes a config with quick settings.

        `port`: an offset from the project's first one, None for no port.
        """
        quick = {
            "restart_delay": 1,
            "health_check_interval": 1,
            "bot_stop_timeout": 30,
            "memory_limit_mb": 256,
        }
        daemon = {**quick, **sections.pop("daemon_config", {})}
        strategy = {"interval": 0.2, **sections.pop("strategy_config", {})}
        actual = None if port is None else self.first_port + port
        config = a_config(instance, actual, daemon_config=daemon, strategy_config=strategy, **sections)
        return write_config(self.folder, config, stem or instance)

    def change(self, instance: str, **sections: Mapping[str, Any]) -> None:
        """Edits a config file as a person would."""
        path = self.folder / "config" / "active" / f"{instance}.json"
        config = json.loads(path.read_text())
        for name, section in sections.items():
            config.setdefault(name, {}).update(section)
        path.write_text(json.dumps(config))

    def manager(
        self, *args: str, code: int | None = 0, environ: Mapping[str, str] | None = None, timeout: float = 120
    ) -> Done:
        """Runs the command line in the project; `code` is the exit code it must have (None: any)."""
        variables = {**os.environ, **self.environ, **(environ or {})}
        if managers.can_run(variables):
            done = managers.run(args, self.folder, variables, timeout)
        else:
            done = subprocess.run(
                self.command(*args),
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                cwd=self.folder,
                env=variables,
            )
        result = Done(done.returncode, done.stdout, done.stderr)
        assert code is None or result.code == code, (
            f"{args} ended with {result.code}\n{result.out}\n{result.err}"
        )
        return result

    def begin(
        self, *args: str, environ: Mapping[str, str] | None = None, output: Path = Path(os.devnull)
    ) -> subprocess.Popen[bytes] | Fork:
        """Starts a command line that goes on; what it prints is added to a file."""
        variables = {**os.environ, **self.environ, **(environ or {})}
        with output.open("ab") as stream:
            return managers.start(args, self.command(*args), self.folder, variables, stream.fileno())

    def piped(self, *args: str) -> subprocess.Popen[str]:
        """Starts a command line whose output is read as it comes.

        For what gets no signal: the process is that of a client, which starts a fork.
        """
        return subprocess.Popen(
            [forks.python(self.folder.parent), "-m", "manager", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **self.environ},
        )

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "manager", *args]

    def docker(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", *args],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=120,
            env={**os.environ, **self.environ},
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def compose(self, *args: str) -> str:
        return self.docker("compose", *args)

    def container(self, instance: str) -> str:
        return f"{self.name}-{instance}"

    def ids(self) -> dict[str, str]:
        """Container name → id of everything that runs."""
        with self.engine() as engine:
            rows = engine.containers(filters={"label": f"com.docker.compose.project={self.name}"})
        return {row["Names"][0].removeprefix("/"): row["Id"] for row in rows}

    @contextmanager
    def engine(self) -> Iterator[APIClient]:
        """The project's engine, with no docker command: one takes ten times as long as what it asks."""
        endpoint = local({**os.environ, **self.environ})
        with contextlib.closing(APIClient(f"unix://{endpoint.socket}", timeout=120)) as engine:
            yield engine

    def ps(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.manager("ps", "--json", code=None).json}

    def states(self) -> dict[str, str]:
        return {instance_id: row["state"] for instance_id, row in self.ps().items()}

    def instances(self) -> dict[str, Any]:
        """The export, as an old reader reads it."""
        return dict(json.loads(self.export_file.read_text()))

    @property
    def export_file(self) -> Path:
        return self.folder / "volumes" / "logs" / "instances.json"

    def supervisor(self, instance: str) -> dict[str, Any]:
        return dict(
            json.loads((self.folder / "volumes" / "state" / instance / "supervisor.json").read_text())
        )


def eventually(check: Callable[[], Any], timeout: float = 120, what: str = "") -> Any:
    """Waits until `check` gives something true; what it gave last is in the failure.

    A check that starts a manager is made more rarely: what is waited for needs the core, too.
    """
    deadline = time.monotonic() + timeout
    while True:
        value, began = None, time.monotonic()
        with contextlib.suppress(OSError, ValueError, KeyError):
            value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"did not happen within {timeout} s: {what} (last: {value!r})"
        time.sleep(max(0.1, min(2 * (time.monotonic() - began), 1)))


def built(name: str, *options: str) -> str:
    """Build an image of this test run and return its tag: once, whichever of its workers asks first.

    The tag has the run's id, so that another checkout on this machine does not put its own image under it.
    """
    tag = f"{IMAGES.removesuffix('*')}{name}:{RUN_ID}"
    with build_lock().open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if tag in lock.read().split():
            return tag
        command = [sys.executable, "-m", "manager", "build", "--tag", tag, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_S)
        assert done.returncode == 0, done.stdout + done.stderr
        lock.write(f"{tag}\n")
    return tag


def build_lock() -> Path:
    """Return the file that a worker locks while it builds; it lists what has been built."""
    return Path(tempfile.gettempdir(), f"bft-{RUN_ID}.lock")


def remove_late_networks() -> None:
    """Remove what the engine was still creating for a command that was killed when its fleet was removed."""
    command = ["docker", "network", "ls", "-q", "--filter", f"name=^bft-{RUN_ID}-"]
    if networks := subprocess.run(command, capture_output=True, text=True, check=False).stdout.split():
        subprocess.run(["docker", "network", "rm", *networks], capture_output=True, check=False)


def remove_images() -> None:
    """Remove the tags that `built` made in this test run."""
    if not build_lock().exists():
        return
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", f"{IMAGES}:{RUN_ID}"]
    images = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    subprocess.run(["docker", "rmi", *images], capture_output=True, check=False)
    build_lock().unlink()


@contextmanager
def a_project(
    folder: Path, image: str, settings: str = "", environ: Mapping[str, str] | None = None
) -> Iterator[Project]:
    """An empty project whose image is `image`; its containers, network and image tag are gone afterwards.

    `settings`: more lines of its fleet.toml. `environ`: more variables, such as another engine's DOCKER_HOST.
    """
    variables = {
        "GRIDBOT_MARKET": "synthetic",
        "XDG_CACHE_HOME": str(folder.parent / "cache"),
        **(environ or {}),
    }
    made = Project(folder, project_name(), ports.reserve(PORTS_PER_PROJECT), variables)
    (made.folder / "config" / "active").mkdir(parents=True)
    (made.folder / "config" / "fleet.toml").write_text(
        f'name = "{made.name}"\nvariables = ["GRIDBOT_*"]\n{settings}'
    )
    _note_engine(made)
    with made.engine() as engine:
        engine.tag(image, f"{made.name}-bot", "local")
    try:
        yield made
    finally:
        remove_fleet(made)


def _note_engine(project: Project) -> None:
    """Have it known that this engine's containers can write here: trying costs a container for each test."""
    if "DOCKER_HOST" in project.environ:
        return
    state = project.folder / "volumes" / "state"
    state.mkdir(parents=True)
    (state / "probed.json").write_text(
        json.dumps({"engines": [[_engine_id(), str(project.folder.resolve())]]})
    )


@cache
def _engine_id() -> str:
    command = ["docker", "info", "-f", "{{.ID}}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def bridge_address() -> str:
    """Return this machine's address on the engine's own bridge: containers reach it, and nobody else does.

    An engine that was started again leaves the gateway out (20.10); it is the first address of the subnet.
    """
    command = ["docker", "network", "inspect", "bridge", "-f", "{{json (index .IPAM.Config 0)}}"]
    config = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return str(config.get("Gateway") or next(ip_network(config["Subnet"]).hosts()))


def project_name() -> str:
    """Return a fleet name that nobody else on this machine has."""
    return f"bft-{RUN_ID}-{WORKER}-{next(_numbers)}"


def remove_fleet(project: Project) -> None:
    """Removes what bears the fleet's name, by label only; an engine that is gone has nothing of it."""
    mine = {"label": f"com.docker.compose.project={project.name}"}
    with contextlib.suppress(DockerException, RequestException), project.engine() as engine:
        for container in engine.containers(all=True, filters=mine):
            with contextlib.suppress(APIError):
                engine.remove_container(container["Id"], v=True, force=True)
        for network in engine.networks(filters=mine):
            with contextlib.suppress(APIError):
                engine.remove_network(network["Id"])
        for image in engine.images(name=f"{project.name}-bot"):
            for tag in image["RepoTags"]:
                with contextlib.suppress(APIError):
                    engine.remove_image(tag)
