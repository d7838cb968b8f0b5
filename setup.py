"""Puts the files beside manager/ that an installed manager needs into the wheel, below manager/_bundle. All
else is in pyproject.toml.

They are copied when a wheel is built, so that each stands once in the repository. A checkout uses its own
files in place.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUNDLE = "manager/_bundle"
PATTERNS = (
    "Dockerfile",
    "docker/healthcheck",
    "docker/supervisor/**/*",
    "docker/bot/**/*",
    "requirements.lock",
    "scripts/base-image.sh",
    "scripts/engine.sh",
    "scripts/in-docker-group.sh",
    "scripts/lib.sh",
    "config/fleet.toml",
    "config/schema.json",
    "config/templates/*.json",
)
LEFT_OUT = re.compile(r"__pycache__|\.pyc$|(^|/)\.|^docker/bot/logs/")
"""What tools and a bot that ran here leave behind, and every hidden file: .env holds keys."""


def bundled() -> Iterator[str]:
    """Yield every file of the bundle, as its path in the checkout."""
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not LEFT_OUT.search(name):
                yield name


class BuildWithBundle(build_py):
    """Builds the modules, then lays the bundle beside them; an editable install has none."""

    def run(self) -> None:
        """Start from an empty folder: what an earlier build left there is not part of this tree."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "manager"), ignore_errors=True)
        super().run()
        if self.editable_mode:
            return
        for name in bundled():
            target = Path(self.build_lib, BUNDLE, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def get_source_files(self) -> list[str]:
        """Return what a source distribution holds: the bundle's files too, each where it stands."""
        return [*super().get_source_files(), *bundled()]


setup(cmdclass={"build_py": BuildWithBundle})
