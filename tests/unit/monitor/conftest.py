"""A fleet that runs on an engine in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.sandbox import Sandbox, a_sandbox


@pytest.fixture
def sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sandbox]:
    """Two instances, bp_eth_02 and bp_sol_01, that are up."""
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        yield sandbox
