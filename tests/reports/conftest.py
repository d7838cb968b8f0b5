"""The fleet whose engine is in memory."""

from __future__ import annotations

from tests.unit.ops.conftest import sandbox

__all__ = ["sandbox"]
