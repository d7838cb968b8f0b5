"""A fleet whose engine is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.ops.halt import stop_for_good
from manager.ops.move import dotenv_lines
from tests.fakes.sandbox import Sandbox, a_sandbox


@pytest.fixture(autouse=True)
def _cheap_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each move makes several; tests/unit/web/test_cost.py holds what they cost elsewhere."""
    monkeypatch.setattr(dotenv_lines, "ROUNDS", 1)


@pytest.fixture
def sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sandbox]:
    """Two instances, bp_eth_02 and bp_sol_01, that nobody has started yet."""
    # a halt inside of a start waits for its end, which is one process's here
    monkeypatch.setattr(stop_for_good, "STARTS_END_WITHIN_S", 1.0)
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        yield sandbox
