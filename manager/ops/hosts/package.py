"""Make what `host deploy` installs on another machine: this manager as a wheel, and its locked packages."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from manager import __version__
from manager.errors import ManagerError
from manager.typed import NamedTuple
from manager.util import bundle

LOCK = "requirements.lock"
SOURCES = (
    "manager",
    "docker",
    "scripts",
    "pyproject.toml",
    "setup.py",
    "Dockerfile",
    "README.md",
    "LICENSE",
    LOCK,
)
OF_CONFIG = ("fleet.toml", "schema.json", "templates")
"""Of config/: never the configs themselves."""
LEFT_OUT = ("__pycache__", "*.egg-info", ".env", "*.log")
OF_AN_INSTALLATION = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"})
"""What pip writes beside a wheel's own files."""
DIGITS = 16
BUILD_S = 300.0


class Package(NamedTuple):
    """Hold a wheel and the list of its packages with their hashes. `digest`: of what both contain."""

    wheel: Path
    lock: Path
    digest: str


def make(folder: Path) -> Package:
    """Make it in this folder: from the checkout, else from the installed files. Raises ManagerError."""
    lock = bundle.folder() / LOCK
    if not lock.is_file():
        raise ManagerError("{path} is missing: it lists the packages that the other machine needs", path=lock)
    wheel = _packed_again(folder) if bundle.INSTALLED.is_dir() else _built(bundle.folder(), folder)
    return Package(wheel, lock, digest_of(wheel, lock))


def digest_of(wheel: Path, lock: Path) -> str:
    """Return a digest of the contents. Two builds of the same files have the same, at whatever time."""
    digest = hashlib.sha256(lock.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("/RECORD"):
                digest.update(f"{name} {hashlib.sha256(archive.read(name)).hexdigest()}\n".encode())
    return digest.hexdigest()[:DIGITS]


def _built(checkout: Path, folder: Path) -> Path:
    """Build the wheel from a copy of the checkout, in which a build leaves nothing behind."""
    copy = folder / "source"
    copy.mkdir()
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    for name in (*SOURCES, *(f"config/{name}" for name in OF_CONFIG)):
        source, target = checkout / name, copy / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        elif source.is_file():
            shutil.copy(source, target)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy)]
    try:
        completed = subprocess.run(
            [*pip, *build], capture_output=True, text=True, timeout=BUILD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerError("cannot build the wheel: {why}", why=error) from error
    wheels = list(folder.glob("*.whl"))
    if completed.returncode != 0 or len(wheels) != 1:
        why = (completed.stderr.strip().splitlines() or ["-"])[-1]
        raise ManagerError("cannot build the wheel: {why}", why=why)
    return wheels[0]


def _packed_again(folder: Path) -> Path:
    """Make the wheel that this installation came from: its files, without what pip added."""
    wheel = folder / f"botfleet-{__version__}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in _installed():
            content = path.read_bytes()
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        info = f"botfleet-{__version__}.dist-info/RECORD"
        archive.writestr(info, "\n".join((*record, f"{info},,")) + "\n")
    return wheel


def _installed() -> Iterator[tuple[str, Path]]:
    """Yield the files of this installation that are a wheel's own, by their names in it."""
    distribution = importlib.metadata.distribution("botfleet")
    for file in sorted(distribution.files or (), key=str):
        name = PurePosixPath(file)
        is_own = name.parts[0] != ".." and name.suffix != ".pyc"
        if is_own and not (".dist-info" in name.parts[0] and name.name in OF_AN_INSTALLATION):
            yield str(name), Path(str(distribution.locate_file(file)))
