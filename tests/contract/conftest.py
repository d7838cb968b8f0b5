"""Every test of this folder runs once for each way to an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from manager.engine.client import Engine
from tests.contract.ways import NEED_AN_ENGINE, WAYS, World


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.engine if name in NEED_AN_ENGINE else ()) for name in WAYS]
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One way to an engine, with nothing of ours in it before and after."""
    with WAYS[request.param]() as clean_world:
        yield clean_world


@pytest.fixture
def engine(world: World) -> Engine:
    """The engine of this way."""
    return world.engine
