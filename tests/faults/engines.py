"""An engine of a test's own, in a network namespace of its own: to be stopped, frozen and killed. Needs root.

The machine's engine is never touched. A second dockerd in the same network namespace would quarrel with it
over docker0 and the firewall.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fleet import project_name

STARTS_S = 120

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="an engine of its own needs root")


@dataclass
class OwnEngine:
    """A dockerd that the test may do anything to. `folder` holds everything of it."""

    folder: Path
    namespace: str
    maps_users: bool = False

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def environ(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.host}

    def start(self) -> None:
        """Starts it, again perhaps, and waits until it answers.

        On a busy machine dockerd gives up waiting for its containerd.
        """
        deadline = time.monotonic() + STARTS_S
        process = None
        while not self.answers():
            assert time.monotonic() < deadline, f"the engine did not answer within {STARTS_S} s"
            if process is None or process.poll() is not None:
                process = self._started()
            time.sleep(0.1)

    def answers(self) -> bool:
        return bool(self.docker("version", "--format", "{{.Server.Version}}").strip())

    def _started(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        return [
            "nsenter",
            f"--net=/var/run/netns/{self.namespace}",
            *(self._with_mapped_users() if self.maps_users else ()),
            "dockerd",
            *self.options(),
            *(["--userns-remap=nobody:nogroup"] if self.maps_users else ()),
        ]

    def options(self) -> Sequence[str]:
        """Return dockerd's options: all that it makes is in the folder."""
        return [
            "--host",
            self.host,
            "--data-root",
            f"{self.folder}/data",
            "--exec-root",
            f"{self.folder}/exec",
            "--pidfile",
            str(self._pid_file),
            "--containerd-namespace",
            self.namespace,
            "--containerd-plugins-namespace",
            f"{self.namespace}-plugins",
        ]

    def _with_mapped_users(self) -> list[str]:
        """Return what gives dockerd, and nobody else, the ranges that userns-remap needs in /etc."""
        ranges = self.folder / "ranges"
        ranges.write_text("nobody:200000:65536\n")
        files = ("/etc/subuid", "/etc/subgid")
        binds = "".join(f"touch {file}; mount --bind {ranges} {file}; " for file in files)
        return ["unshare", "--mount", "--propagation=slave", "sh", "-c", f'{binds}exec "$@"', "sh"]

    def stop(self) -> None:
        """As a service manager does."""
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        _until_gone(pid)

    def kill(self, *, everything: bool = False) -> None:
        """Kills dockerd alone, or all that runs in and under it, as a power cut does."""
        pids = self._all() if everything else [self.pid()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            _until_gone(pid)
        self._pid_file.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its process stands still: connections are taken and never answered."""
        os.kill(self.pid(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid(), signal.SIGCONT)

    def pid(self) -> int:
        return int(self._pid_file.read_text())

    def docker(self, *args: str) -> str:
        done = subprocess.run(
            ["docker", "--host", self.host, *args], capture_output=True, text=True, check=False, timeout=120
        )
        return done.stdout

    def output_of(self, container: str) -> str:
        done = subprocess.run(
            ["docker", "--host", self.host, "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def load(self, image: str) -> None:
        """Gives it an image of the machine's engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.host, "load"],
                stdin=saved.stdout,
                check=True,
                stdout=subprocess.DEVNULL,
            )

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _all(self) -> list[int]:
        """dockerd, containerd, the shims, and every process in its containers: told by their folders and
        their parents.
        """
        children: dict[int, list[int]] = {}
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                words = (process / "cmdline").read_bytes()
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(process.name))
                if f"{self.folder}/".encode() in words and b"pytest" not in words:
                    pids.append(int(process.name))
        for pid in pids:
            pids += [child for child in children.get(pid, ()) if child not in pids]
        return pids

    def remove(self) -> None:
        """Leaves nothing: processes, mounts, folders, the namespace."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid(), signal.SIGCONT)
        self.kill(everything=True)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def an_engine(image: str, *, maps_users: bool = False) -> Iterator[OwnEngine]:
    """A running engine that has the image. `maps_users`: with userns-remap."""
    namespace = project_name()
    # a short path: sockets' names end at 107 bytes
    engine = OwnEngine(Path("/tmp", namespace), namespace, maps_users)
    engine.folder.mkdir()  # containers of mapped users have to get through
    try:
        subprocess.run(["ip", "netns", "add", namespace], check=True)
        subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        engine.start()
        engine.load(image)
        yield engine
    finally:
        with contextlib.suppress(FileNotFoundError, ValueError):
            engine.pid()
        engine.remove()


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while Path("/proc", str(pid)).exists() and _state(pid) != "Z":
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
