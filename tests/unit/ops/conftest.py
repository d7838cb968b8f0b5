"""A fleet whose engine is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.desk import Desk, a_desk


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """Two instances, bp_eth_02 and bp_sol_01, that nobody has started yet."""
    with a_desk(tmp_path, monkeypatch, capsys) as desk:
        yield desk
