"""Check what the live instances would fail or lose by at their exchanges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from manager.i18n import Text
from manager.monitor.doctor.findings import Finding, fail
from manager.ops.exchange.live_checks import LiveCheck


def check_all(checks: Iterable[LiveCheck]) -> Iterator[Finding]:
    """Say of each instance what its program has found. What could not be asked is a failure."""
    for check in checks:
        if check.why is not None:
            away = Text("check that the exchange can be reached and that the keys are in .env")
            told = Text("do what it says, then run `manager doctor --live` again")
            yield fail(
                "live",
                Text("{id}: cannot be checked: {why}", id=check.instance, why=check.why),
                told if check.says_what_to_do else away,
            )
        for line in check.lines:
            text = Text("{id}: {what}", id=check.instance, what=line.text)
            yield Finding(line.level, f"live.{line.code}", text, line.remedy)
