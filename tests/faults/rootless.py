"""A rootless engine of a test's own, run by a user who exists for it alone. Needs root.

The user, its ranges of ids and the two devices that it opens are seen by this engine only: all of them are
mounts in a namespace of its own, and nothing of the machine's is changed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import other_user
from tests.faults.engines import OwnEngine
from tests.fleet import ROOT, Done, project_name

UID = 64123
"""Of nobody: Debian gives 60000 to 64999 to packages that ask for them."""
COMMAND_S = 400
FIRST_MAPPED = 300_000_000
SCRIPTS = ("/usr/share/docker.io/contrib/dockerd-rootless.sh", "/usr/bin/dockerd-rootless.sh")
"""Debian's, and that of docker-ce-rootless-extras."""
PACKAGE_OF = {"rootlesskit": "rootlesskit", "slirp4netns": "slirp4netns", "newuidmap": "uidmap"}
DEVICES = {"/dev/net/tun": "10 200", "/dev/fuse": "10 229"}


@dataclass
class RootlessEngine(OwnEngine):
    """A dockerd of an unprivileged user; its limits are those that such an engine has."""

    def command(self) -> Sequence[str]:
        """Return what starts it, in mounts of its own."""
        folder = self.folder
        variables = {
            "HOME": folder / "home",
            "XDG_RUNTIME_DIR": folder / "run",
            "TMPDIR": folder / "tmp",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        clean = ["env", "--ignore-environment", *(f"{name}={value}" for name, value in variables.items())]
        engine = [script(), *self.options()]
        lines = ["set -e", *self._files(), *self._devices(), f"cd {folder}/home"]
        lines.append(f"exec {shlex.join([*user, *clean, *engine])}")
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]

    def _files(self) -> Iterator[str]:
        name = self.namespace
        for file, line in {
            "/etc/passwd": f"{name}:x:{UID}:{UID}::{self.folder}/home:/bin/sh",
            "/etc/group": f"{name}:x:{UID}:",
            "/etc/subuid": f"{name}:{FIRST_MAPPED}:65536",
            "/etc/subgid": f"{name}:{FIRST_MAPPED}:65536",
        }.items():
            own = f"{self.folder}/etc/{Path(file).name}"
            yield f"{{ cat {file} 2>/dev/null; echo {shlex.quote(line)}; }} > {own} || true"
            yield f"touch {file}; mount --bind {own} {file}"

    def _devices(self) -> Iterator[str]:
        for device, numbers in DEVICES.items():
            own = f"{self.folder}/dev/{Path(device).name}"
            yield f"[ -e {own} ] || mknod -m 0666 {own} c {numbers}"
            yield f"if [ -e {device} ]; then mount --bind {own} {device}; fi"

    def manager(self, folder: Path, *args: str, code: int | None = 0, as_root: bool = False) -> Done:
        """Run the manager, as the engine's user if not `as_root`."""
        environ = {
            **os.environ,
            **self.environ,
            "HOME": f"{self.folder}/home",
            "XDG_RUNTIME_DIR": f"{self.folder}/run",
            "XDG_CACHE_HOME": f"{self.folder}/home/.cache",
            "PYTHONPATH": str(ROOT),
            "GRIDBOT_MARKET": "synthetic",
            "MANAGER_LANG": "en",
        }
        uid = 0 if as_root else UID
        done = other_user.run(
            uid, [uid], [sys.executable, "-m", "manager", *args], folder, environ, COMMAND_S
        )
        result = Done(done.returncode, done.stdout, done.stderr)
        assert code is None or result.code == code, f"manager {shlex.join(args)}: {result}"
        return result


@contextmanager
def a_rootless_engine(image: str) -> Iterator[RootlessEngine]:
    """A running rootless engine that has the image. What is missing here fails the test by its name."""
    missing = [PACKAGE_OF[command] for command in PACKAGE_OF if shutil.which(command) is None]
    if missing:
        pytest.fail(f"a rootless engine needs {', '.join(missing)}: run `apt install {' '.join(missing)}`")
    script()
    name = project_name()
    engine = RootlessEngine(Path("/tmp", name), name)
    try:
        for folder in (
            engine.folder,
            *(engine.folder / inner for inner in ("home", "run", "tmp", "etc", "dev")),
        ):
            folder.mkdir(mode=0o755)
        for owned in ("", "home", "run", "tmp"):
            os.chown(engine.folder / owned, UID, UID)
        engine.start()
        engine.load(image)
        yield engine
    finally:
        engine.remove()


def script() -> str:
    """Return the path of the script that starts such an engine."""
    for path in SCRIPTS:
        if Path(path).exists():
            return path
    pytest.fail(
        f"a rootless engine needs {SCRIPTS[0]}, of the package docker.io, or docker-ce-rootless-extras"
    )
