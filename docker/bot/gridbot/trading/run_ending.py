"""Hold how a run ends, from the decision until its position is closed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gridbot.model.condition import Code, Condition


class CompletedError(Exception):
    """Report that the run is complete, and how it ended."""

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition.reason)
        self.condition = condition


@dataclass(frozen=True, slots=True)
class RunEnding:
    """Hold how the run ends, and whether its position is closed before.

    It is stored, so that a bot that is killed meanwhile ends the run at its next start.
    """

    condition: Condition
    flatten: bool

    def held_up_by(self, cause: Condition) -> Condition:
        """Return `cause`, which keeps the position from being closed, and first what it would be closed for.

        A loss that was to be limited grows meanwhile: a person has to know.
        """
        reason = f"{self.condition.reason}, and the position is NOT CLOSED: {cause.reason}"
        return Condition(cause.code, reason, {**cause.params, "closing": self.condition.params.get("by", "")})

    def dump(self) -> str:
        """Return it as the text that is stored."""
        code = self.condition.as_json()
        return json.dumps({"why": self.condition.reason, "flatten": self.flatten, **code})

    @classmethod
    def load(cls, text: str) -> RunEnding:
        """Return what `dump` stored, also in a version without codes."""
        raw = json.loads(text)
        code = Code(raw.get("code", Code.STOPPED_OUT))
        return cls(Condition(code, raw["why"], raw.get("params", {})), bool(raw["flatten"]))
