"""An earlier commit's code and image, and this tree's image."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.engine.docker_cli import builder
from manager.engine.labels import NEWEST_CONTRACT
from tests.fake_exchange.server import FakeExchange
from tests.fleet import ROOT, RUN_ID, bridge_address
from tests.upgrade.old_fleet import COMMIT, check_out, of_code

REPOSITORY = "botfleet-test-upgrade"
OLD_IMAGE = f"{REPOSITORY}:{COMMIT[:7]}"
"""Stays when the tests have ended: `manager build` leaves an image as it is whose inputs are the same."""


@pytest.fixture(scope="session")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the earlier commit."""
    code = check_out(COMMIT, tmp_path_factory.mktemp("earlier") / "code")
    output = subprocess.run(
        [sys.executable, "-c", "import manager; print(manager.__file__)"],
        env={**os.environ, **of_code(code)},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(output.strip()).is_relative_to(code), f"this is not the earlier manager: {output}"
    return code


@pytest.fixture(scope="session")
def old_image(old_code: Path) -> str:
    """The image of the earlier commit, built by its own manager."""
    folder = str(
        Path(builder()).parent
    )  # it takes the first docker command there is, whether or not it can build
    build(old_code, OLD_IMAGE, {**of_code(old_code), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    return OLD_IMAGE


@pytest.fixture(scope="session")
def new_image(old_image: str) -> Iterator[str]:
    """This tree's image, which is another one than the old even where nothing in it has changed since."""
    built, made = f"{REPOSITORY}:{RUN_ID}-built", f"{REPOSITORY}:{RUN_ID}"
    build(ROOT, built, {})
    label(built, made, "test.update", RUN_ID)
    yield made
    remove(made, built)


@pytest.fixture(scope="session")
def image_of_later(old_image: str) -> Iterator[str]:
    """An image of a contract that this tree's manager does not know yet."""
    made = f"{REPOSITORY}:{RUN_ID}-later"
    label(old_image, made, "botfleet.supervisor", str(NEWEST_CONTRACT + 1))
    yield made
    remove(made)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeExchange]:
    """An exchange at the engine's own bridge, which only this machine and its containers see."""
    with FakeExchange(address=bridge_address()) as served:
        yield served
    assert served.book.violations == []


def build(tree: Path, tag: str, environ: dict[str, str]) -> None:
    """Builds the bot image of a tree with the tree's own manager."""
    done = subprocess.run(
        [sys.executable, "-m", "manager", "build", "--tag", tag],
        cwd=tree,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, f"cannot build the image of {tree}\n{done.stdout}\n{done.stderr}"


def label(image: str, tag: str, name: str, value: str) -> None:
    """Makes `tag`: the image with one more label."""
    container = docker("create", image)
    try:
        docker("commit", "--change", f"LABEL {name}={value}", container, tag)
    finally:
        docker("rm", container)


def remove(*tags: str) -> None:
    subprocess.run(["docker", "rmi", *tags], capture_output=True, check=False)


def docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"docker {args}: {done.stderr}"
    return done.stdout.strip()
