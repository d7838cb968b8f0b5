"""What is put back after the engine's death, and what never is."""

from __future__ import annotations

from typing import Any

import pytest

from manager.monitor.watch import engine_recovery
from tests.builders import a_container


def ended(at: str) -> dict[str, Any]:
    return {"State": {"FinishedAt": at}}


def test_what_was_up_and_is_down_is_a_candidate() -> None:
    before = [a_container(name) for name in ("one", "two", "stopping")]
    before.append(a_container("stopped", "exited"))
    lost = engine_recovery.outage_at(100.0, before, {"id-of-stopping"})
    after = [a_container("one", "exited"), a_container("two")]
    after += [a_container("stopping", "exited"), a_container("stopped", "exited")]
    after.append(a_container("one", "exited", Id="another"))  # recreated meanwhile
    assert [instance.id for instance in engine_recovery.candidates(lost, after)] == ["id-of-one"]


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        ("2025-11-30T10:53:40.5Z", False),  # before the loss: a person's
        ("2025-11-30T10:54:10.123456789Z", True),
        ("2025-11-30T10:54:31Z", False),  # the engine already answered
        ("0001-01-01T00:00:00Z", False),
        ("soon", False),
    ],
)
def test_only_what_ended_while_nobody_could_ask_for_it(finished: str, expected: bool) -> None:
    lost = engine_recovery.EngineOutage(at=1_764_500_040.0, up={})  # 10:54:00
    assert engine_recovery.ended_unasked(ended(finished), lost, 1_764_500_070.0) is expected
    assert not engine_recovery.ended_unasked({}, lost, 1_764_500_070.0)
