"""Options of the whole test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: fault injection as often as the figures in tests/faults/README.md need it."""
    parser.addoption("--long", action="store_true", help="the long form of tests/faults")
