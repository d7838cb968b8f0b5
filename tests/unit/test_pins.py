"""What is fetched from elsewhere is named by its content, not by a name that others can move."""

from __future__ import annotations

import re
from pathlib import Path

from manager.engine import image_build

ROOT = Path(__file__).parents[2]


def test_the_base_image_is_named_by_its_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base == image_build.OFFICIAL_BASE
    assert re.fullmatch(r"debian@sha256:[0-9a-f]{64}", base)


def test_actions_are_named_by_their_commits() -> None:
    workflows = [path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.y*ml")]
    used = [name for text in workflows for name in re.findall(r"uses: *(\S+)", text)]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []
