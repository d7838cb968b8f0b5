"""Make the benchmark's own fleets: a temporary folder, a name and ports nobody else has, and nothing left at
the end.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.shell import CommandFailed, Done, ignore_interruptions, run
from tests import ports

ROOT = Path(__file__).resolve().parents[1]
BOT = ROOT / "bench" / "bot"
MANAGER = Path(sys.executable).with_name("manager")
"""As a user calls it: `python -m` would look for modules of its own first."""
PREFIX = "bfb-"
SETTLE_S = 120
CALM_S = 2.0
"""After the last bot answers: the engine's first health checks are still under way."""
UNDER_WAY_S = 2.0
"""What a killed program had asked of the engine is carried out all the same, within about so long."""
PROJECT_LABEL = "com.docker.compose.project"


class NotSettled(Exception):
    """Signal that a fleet did not become healthy."""


@dataclass
class Project:
    """Hold one fleet of `size` bots."""

    folder: Path
    name: str
    image: str
    first_port: int
    calm: float
    size: int = 0

    @property
    def ids(self) -> list[str]:
        return [f"bot_{number:03}" for number in range(self.size)]

    @property
    def ports(self) -> range:
        return range(self.first_port, self.first_port + self.size)

    def resize(self, size: int) -> None:
        """Write the configs of that many bots."""
        self.size = size
        active = self.folder / "config" / "active"
        shutil.rmtree(active, ignore_errors=True)
        active.mkdir(parents=True)
        for instance, port in zip(self.ids, self.ports, strict=True):
            (active / f"{instance}.json").write_text(json.dumps(_config(instance, port), indent=2))

    def configure(self, **settings: object) -> None:
        """Write fleet.toml. Keys with a dot go into their table."""
        lines: dict[str, list[str]] = {"": [f'name = "{self.name}"', f'image = "{self.image}"']}
        for key, value in settings.items():
            table, _dot, last = key.rpartition("__")
            lines.setdefault(table, []).append(f"{last} = {json.dumps(value)}")
        text = "\n".join(
            line for table, settings in lines.items() for line in ([f"[{table}]"] if table else []) + settings
        )
        (self.folder / "config" / "fleet.toml").write_text(text + "\n")

    @property
    def environ(self) -> dict[str, str]:
        """Return an environment in which the manager's cache of configs belongs to the project, and goes with
        it.
        """
        return {"XDG_CACHE_HOME": str(self.folder / "cache")}

    def command(self, *args: str) -> list[str | Path]:
        return [MANAGER, *args]

    def manager(self, *args: str, environ: Mapping[str, str] | None = None, any_code: bool = False) -> Done:
        """Run the manager in the project."""
        codes = range(256) if any_code else (0,)
        return run(
            self.command(*args), cwd=self.folder, environ={**self.environ, **(environ or {})}, codes=codes
        )

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Run `manager serve` in the background, and give its port."""
        port = ports.reserve()
        try:
            self.manager("serve", "--detach", "--listen", f"127.0.0.1:{port}")
            yield port
        except BaseException:
            self.manager("serve", "stop", any_code=True)
            raise
        self.manager("serve", "stop")

    def compose(self, *args: str, environ: Mapping[str, str] | None = None) -> Done:
        """Run Compose on what `manager compose` rendered."""
        return run(["docker", "compose", *args], cwd=self.folder, environ=environ)

    def compose_down(self, environ: Mapping[str, str] | None = None) -> Done:
        """Run `docker compose down`. An engine that has lost count of a network's endpoints, as 20.10 now and
        then, lets nobody remove that network: what counts is that every container is gone. Raises
        CommandFailed.
        """
        done = run(["docker", "compose", "down"], cwd=self.folder, environ=environ, codes=(0, 1))
        chosen = f"label={PROJECT_LABEL}={self.name}"
        if left := run(["docker", "ps", "-aq", "--filter", chosen]).out.split():
            raise CommandFailed(f"docker compose down ended with {done.code} and left {len(left)} containers")
        return done

    def container(self, instance: str) -> str:
        return f"{self.name}-{instance}"

    def container_ids(self) -> set[str]:
        """Return the ids of everything that runs in the fleet."""
        return set(run(["docker", "ps", "-q", "--filter", f"label={PROJECT_LABEL}={self.name}"]).out.split())

    def forget(self) -> None:
        """Make everything as if the fleet had never been up."""
        for name in ("volumes", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def remove_containers(self) -> None:
        """Remove the containers, whoever made them: by label, and nothing that bears another fleet's name."""
        chosen = f"label={PROJECT_LABEL}={self.name}"
        if containers := run(["docker", "ps", "-aq", "--filter", chosen]).out.split():
            run(["docker", "rm", "-f", "-v", *containers], codes=(0, 1))
        for network in run(["docker", "network", "ls", "-q", "--filter", chosen]).out.split():
            run(["docker", "network", "rm", network], codes=(0, 1))

    def settle(self) -> None:
        """Wait until every bot answers, and a little longer. Raises NotSettled."""
        deadline = time.monotonic() + SETTLE_S
        for port in self.ports:
            while not answers(port):
                if time.monotonic() > deadline:
                    raise NotSettled(f"no bot answered on port {port} within {SETTLE_S} s")
                time.sleep(0.05)
        time.sleep(self.calm)


def answers(port: int) -> bool:
    """Return whether a healthy bot listens on this port."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@dataclass
class Workshop:
    """Hold what one run of the benchmark makes, and remove it."""

    folder: Path
    run_id: str
    calm: float = CALM_S
    ends_at: float = math.inf
    """By the monotonic clock, of the section that is measured: what has rounds gets fewer near it."""
    projects: list[Project] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def image(self) -> str:
        return f"{PREFIX}{self.run_id}-bot:local"

    def share(self, part: float) -> float:
        """Return when this part of the time that is left will be over."""
        now = time.monotonic()
        return now + part * (self.ends_at - now)

    def project(self, size: int, **settings: object) -> Project:
        """Return a new fleet, not yet up."""
        name = f"{PREFIX}{self.run_id}-{next(self._numbers)}"
        made = Project(self.folder / name, name, self.image, ports.reserve(size), self.calm)
        self.projects.append(made)
        made.resize(size)
        made.configure(**settings)
        return made

    def build(self, tag: str, bot: Path | None) -> None:
        """Build a bot image; `bot` None means the bundled one."""
        self.tags.append(tag)
        chosen = [] if bot is None else ["--bot", str(bot)]
        run([MANAGER, "--project-dir", str(ROOT), "build", *chosen, "--tag", tag])

    def variant(self) -> str:
        """Make an image with the same content and another id. Return its tag."""
        tag = f"{PREFIX}{self.run_id}-variant:local"
        self.tags.insert(0, tag)
        made = self.folder / "variant"
        made.mkdir(exist_ok=True)
        (made / "Dockerfile").write_text(f"FROM {self.image}\nLABEL variant={self.run_id}\n")
        run(["docker", "build", "--quiet", "--tag", tag, made])
        return tag

    def clean(self) -> None:
        """Remove containers, networks, image tags and folders; a second interruption does not keep it
        from that.
        """
        ignore_interruptions()
        for project in self.projects:
            with suppress(CommandFailed):
                project.remove_containers()
        for tag in [*self.tags, *self._kept_tags()]:
            with suppress(CommandFailed):
                run(["docker", "rmi", tag], codes=(0, 1))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kept_tags(self) -> list[str]:
        """Return the tags by which `upgrade` keeps the images that `rollback` restores."""
        chosen = f"reference={PREFIX}{self.run_id}-*"
        with suppress(CommandFailed):
            return run(
                ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", chosen]
            ).out.split()
        return []


@contextmanager
def workshop(calm: float = CALM_S) -> Iterator[Workshop]:
    """Provide a place to work in. Gone afterwards, also on Ctrl-C."""
    made = Workshop(Path(tempfile.mkdtemp(prefix=PREFIX)), secrets.token_hex(3), calm)
    try:
        yield made
    except BaseException:
        made.clean()
        time.sleep(UNDER_WAY_S)
        raise
    finally:
        made.clean()


def _config(instance: str, port: int) -> dict[str, object]:
    return {
        "metadata": {
            "instance_id": instance,
            "name": "does nothing",
            "exchange": "none",
            "symbol": "NONE_USD",
            "market_type": "spot",
            "strategy": "idle",
        },
        "daemon_config": {"web_port": port, "memory_limit_mb": 64, "health_check_interval": 30},
    }
