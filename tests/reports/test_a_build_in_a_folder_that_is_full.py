"""TMPDIR on a small or strange disk: `build` said “cannot copy None into the image: None”."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from manager.engine import image_build
from manager.errors import ManagerError
from tests.faults.engines import needs_root
from tests.fleet import ROOT


@needs_root
@pytest.mark.parametrize("has_room", [False, True], ids=["full", "noexec"])
def test_names_the_folder_and_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_room: bool
) -> None:
    size = "32m" if has_room else "64k"
    options = ["-o", f"noexec,size={size}"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(tmp_path)], check=True)
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with tempfile.TemporaryDirectory() as folder:
            if has_room:
                image_build._assemble(ROOT, ROOT / image_build.BUNDLED_BOT, Path(folder))
                return
            with pytest.raises(ManagerError, match=f"to {folder} for the image: .*No space left on device"):
                image_build._assemble(ROOT, ROOT / image_build.BUNDLED_BOT, Path(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
