"""Every test of this folder runs once for each way to an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from manager.engine.client import Engine
from tests.contract.ways import ENDS, NEED_AN_ENGINE, STAYS, WAYS, World


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.engine if name in NEED_AN_ENGINE else ()) for name in WAYS],
)
def way(request: pytest.FixtureRequest) -> str:
    """The name of one way to an engine."""
    return str(request.param)


@pytest.fixture
def world(way: str) -> Iterator[World]:
    """One way to an engine, with nothing of ours in it before and after."""
    with WAYS[way]() as clean_world:
        yield clean_world


@pytest.fixture(scope="module")
def looked_at(way: str) -> Iterator[tuple[World, str, str]]:
    """A world whose containers tests only look at: one runs, and the other one has ended or soon will."""
    with WAYS[way]() as shared:
        yield shared, shared.running("stays", STAYS), shared.running("ends", ENDS)


@pytest.fixture
def engine(world: World) -> Engine:
    """The engine of this way."""
    return world.engine
